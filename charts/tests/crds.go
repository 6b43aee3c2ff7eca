// Package tests holds the charts against what reads them: Kubernetes' types, the operators' schemas, the services' settings.
package tests

import _ "github.com/kedacore/keda/v2/version" // has the module required: the definitions of its resources are no Go code
