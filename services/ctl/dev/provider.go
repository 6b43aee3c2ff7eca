package dev

import (
	"fmt"
	"strings"

	"github.com/freshet-io/freshet/services/ctl/rig"
)

// providerURL returns the base URL of the server that embeds, "" where it is one of
// the providers inside.
func (o Options) providerURL() string {
	if strings.Contains(o.Provider, "://") {
		return o.Provider
	}
	return ""
}

// pipelineFile returns the catalogue's pipeline file in the space of the chosen provider.
func (o Options) pipelineFile() []byte {
	space := rig.BuiltinSpace
	switch {
	case o.providerURL() != "":
		space = fmt.Sprintf("space: {provider: openai, model: %q, dimensions: %d}", o.Model, o.Dimensions)
	case o.Provider == "hash":
		space = fmt.Sprintf("space: {provider: hash, model: hash, dimensions: %d}", o.Dimensions)
	}
	return rig.PipelineFile(space)
}
