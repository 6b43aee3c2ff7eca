package main

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/freshet-io/freshet/libs/service"
)

// refusePlainly has a command and all below it say of wrong flags and arguments what would be right, and where help is.
func refusePlainly(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(refuseFlag)
	if args := cmd.Args; args != nil {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if args(cmd, given) == nil {
				return nil
			}
			return refuseArgs(cmd, given)
		}
	}
	for _, child := range cmd.Commands() {
		refusePlainly(child)
	}
}

func refuseArgs(cmd *cobra.Command, given []string) error {
	if !cmd.HasSubCommands() {
		return fmt.Errorf("call it as %q, not with the arguments %q%s", cmd.UseLine(), given, helpOf(cmd))
	}
	names := each(cmd.Commands(), (*cobra.Command).Name)
	return fmt.Errorf("unknown command %q for %q%s%s", given[0], cmd.CommandPath(), didYouMean("", given[0], names), helpOf(cmd))
}

// flagTypes are the types of flags, by the names that pflag has for them.
var flagTypes = map[string]reflect.Type{
	"duration": reflect.TypeFor[time.Duration](), "bool": reflect.TypeFor[bool](), "float64": reflect.TypeFor[float64](),
	"int": reflect.TypeFor[int](), "int16": reflect.TypeFor[int16](), "int32": reflect.TypeFor[int32](), "uint16": reflect.TypeFor[uint16](),
}

func refuseFlag(cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		if t, known := flagTypes[e.GetFlag().Value.Type()]; known {
			return fmt.Errorf("--%s: %q is %s%s", e.GetFlag().Name, e.GetValue(), service.Unreadable(t), helpOf(cmd))
		}
	}
	meant := ""
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok && e.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		meant = didYouMean("--", e.GetSpecifiedName(), names)
	}
	return fmt.Errorf("%w%s%s", err, meant, helpOf(cmd))
}

func didYouMean(sign, name string, known []string) string {
	if meant := service.Nearest(name, known); meant != "" {
		return ", did you mean " + sign + meant + "?"
	}
	return ""
}

func helpOf(cmd *cobra.Command) string { return " (see " + cmd.CommandPath() + " --help)" }
