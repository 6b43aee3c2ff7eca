// Package tests holds the charts against what reads them: Kubernetes' types, the operators' schemas, the services' settings.
package tests

// The module is required for the definitions of KEDA's resources, which are no Go code.
import _ "github.com/kedacore/keda/v2/version"
