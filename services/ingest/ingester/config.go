package ingester

import "github.com/freshet-io/freshet/libs/service"

// Config bounds what is decoded and says how the connectors are set up.
type Config struct {
	MaxValueBytes          int    `envconfig:"MAX_VALUE_BYTES" default:"8388608" desc:"longest value of a change in bytes; a longer one becomes a dead letter"`
	MaxDepth               int    `envconfig:"MAX_DEPTH" default:"64" desc:"deepest nesting of a change's JSON"`
	MaxFields              int    `envconfig:"MAX_FIELDS" default:"65536" desc:"most fields of a change's JSON, its schema included"`
	UnavailablePlaceholder string `envconfig:"UNAVAILABLE_PLACEHOLDER" default:"__debezium_unavailable_value" desc:"the connectors' unavailable.value.placeholder"`
}

// DefaultConfig returns what Config's default tags say, for callers without an environment.
func DefaultConfig() Config {
	var c Config
	_ = service.Load(nil, &c) // the tags are of their fields' types, or no ingest would start
	return c
}
