package inspect

// The metrics that are read, as Prometheus shows them: libs/telemetry names them. TestWhy holds these against what the
// services really show.
const (
	metricItems         = "freshet_items_total"
	metricUnfinished    = "freshet_stage_oldest_unfinished_age_seconds"
	metricStage         = "freshet_stage_duration_seconds"
	metricRetries       = "freshet_stage_retries_total"
	metricLater         = "freshet_stage_later"
	metricFreshness     = "freshet_freshness_duration_seconds"
	metricSearchable    = "freshet_freshness_searchable_duration_seconds"
	metricIndexBroken   = "freshet_index_broken"
	metricLimit         = "freshet_provider_gate_limit"
	metricShut          = "freshet_provider_gate_shut_seconds"
	metricRefused       = "freshet_provider_key_refused"
	metricFailing       = "freshet_provider_failing_seconds"
	metricRegistry      = "freshet_schema_registry_failing_seconds"
	metricGateWaiting   = "freshet_provider_gate_waiting"
	metricGateWaited    = "freshet_provider_gate_waited_seconds"
	metricOperations    = "gen_ai_client_operation_duration_seconds"
	metricBreaker       = "freshet_provider_breaker"
	metricRequests      = "freshet_provider_requests_total"
	metricTokens        = "freshet_provider_tokens_total"
	metricSavedTokens   = "freshet_provider_saved_tokens_total"
	metricCost          = "freshet_provider_cost_total"
	metricBudgetLimit   = "freshet_embed_budget_limit"
	metricBudgetWaiting = "freshet_embed_budget_waiting"
)
