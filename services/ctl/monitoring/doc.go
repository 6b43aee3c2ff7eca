// Package monitoring tests the rules and dashboards of the chart, and the runbook.
package monitoring
