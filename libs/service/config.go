package service

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/kelseyhightower/envconfig"
)

// prefix begins every variable's name.
const prefix = "FRESHET"

// nowhere is a variable that no environment has: values reach envconfig as
// defaults, since it reads the process's own environment only.
const nowhere = "FRESHET=NOWHERE"

// Validator is a part of a configuration that can tell more than its fields' types do. Where a required field has a fault
// of its own, it is asked all the same, and finds that field empty.
type Validator interface{ Validate() error }

// Setting is one environment variable.
type Setting struct {
	Name     string
	Default  string
	Required bool
	Secret   bool // may also come from the file named by Name_FILE
	Desc     string

	value    reflect.Value
	fallback string // the variable that is read where no variable of the group is set
	group    string // how the names of the group begin; empty where there is no fallback
}

// Load fills cfg, a pointer to a struct, from the variables of environ (KEY=value)
// and validates it. All faults are in the one error it returns, a line each.
//
// Names are FRESHET_ and the path of field names, words joined by underscores; the
// tag envconfig renames a field, inline:"true" leaves a struct's own name out,
// ignored:"true" is for code alone.
// A struct with the tag inherit:"KAFKA" is filled from FRESHET_KAFKA_* where no
// variable of its own is set; one of its own cuts the whole group off, so that the
// password of one cluster is never sent to another.
func Load(environ []string, cfg any) error {
	env := parse(environ)
	settings := Settings(cfg)
	var errs []error
	unread := map[string]bool{}
	for _, s := range settings {
		err := s.load(env, settings)
		unread[s.Name] = err != nil && !s.Required
		unread[s.group] = s.name(env, settings) != s.Name
		if err != nil && !errors.Is(err, errToldElsewhere) {
			errs = append(errs, err)
		}
	}
	_, err := validate(reflect.ValueOf(cfg).Elem(), names{own: prefix}, unread)
	if err := errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("reading the configuration: %w", errors.Join(err, mistakes(environ, cfg)))
	}
	return nil
}

// mistakes tells of the variables that are almost known ones: a typing error may be why another is not set.
func mistakes(environ []string, cfg any) error {
	mistyped := Mistyped(environ, cfg)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(mistyped)) {
		errs = append(errs, fmt.Errorf("%s is no setting: %s is probably meant", name, mistyped[name]))
	}
	return errors.Join(errs...)
}

func parse(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			env[k] = v
		}
	}
	return env
}

// errToldElsewhere is of a variable that another one stands in for, whose own fault says all.
var errToldElsewhere = errors.New("the variable that is read instead has a fault")

// load parses one variable with envconfig, by means of a struct of that one field.
func (s Setting) load(env map[string]string, all []Setting) error {
	name := s.name(env, all)
	if s.Secret && env[name+"_FILE"] != "" {
		if env[name] != "" {
			return fmt.Errorf("%s and %s_FILE are both set: unset one", name, name)
		}
		secret, err := secretFile(env[name+"_FILE"])
		if err != nil {
			return fmt.Errorf("%s_FILE: %w", name, err)
		}
		s.value.Set(reflect.ValueOf(secret))
		return nil
	}
	one := reflect.New(reflect.StructOf([]reflect.StructField{{
		Name: "Field", Type: s.value.Type(),
		Tag: reflect.StructTag(fmt.Sprintf(`envconfig:"%s" default:%q required:"%t"`, nowhere, cmp.Or(env[name], s.Default), s.Required)),
	}}))
	if err := envconfig.Process("", one.Interface()); err != nil {
		switch parse, ok := errors.AsType[*envconfig.ParseError](err); {
		case name != s.Name:
			return errToldElsewhere
		case ok:
			return faultOf(fmt.Sprintf("%s: %q", name, parse.Value), s.value.Type(), parse.Err)
		default:
			return fmt.Errorf("%s is not set: %s", name, s.Desc)
		}
	}
	s.value.Set(one.Elem().Field(0))
	return nil
}

// faultOf says for people what is wrong with a value, a line for each fault.
func faultOf(setting string, t reflect.Type, err error) error {
	what := Unreadable(t)
	if what == "" { // the type reads its own text, and knows best what it takes
		return errors.New(setting + ": " + strings.ReplaceAll(err.Error(), "\n", "\n"+setting+": "))
	}
	return errors.New(setting + " is " + what)
}

// wanted says of types what a text is not that they cannot read.
var wanted = map[reflect.Type]string{
	reflect.TypeFor[time.Duration](): "no duration: write it as 30s or 5m",
	reflect.TypeFor[slog.Level]():    "no level: debug, info, warn or error",
}

// Unreadable says what a text is not that a type of Go's own, a duration or a level could not read, as "no number". It
// returns "" for a type that reads its own text.
func Unreadable(t reflect.Type) string {
	switch what, known := wanted[t]; {
	case known:
		return what
	case decodes(t):
		return ""
	case t.Kind() == reflect.Bool:
		return "neither true nor false"
	case t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32:
		return "no number"
	default:
		return "no whole number, or one out of range" // nothing is wrong with a text for a string
	}
}

// name returns the variable that s is read from.
func (s Setting) name(env map[string]string, all []Setting) string {
	if s.fallback == "" {
		return s.Name
	}
	for _, other := range all {
		if other.group == s.group && (env[other.Name] != "" || env[other.Name+"_FILE"] != "") {
			return s.Name
		}
	}
	return s.fallback
}

// Settings lists the variables of a configuration, in the order of its fields.
func Settings(cfg any) []Setting {
	var list []Setting
	walk(reflect.ValueOf(cfg).Elem(), names{own: prefix}, &list)
	return list
}

// names is how the variables of a struct are called.
type names struct{ own, fallback, group string }

// field returns the names of a field of the struct.
func (n names) field(f reflect.StructField) names {
	if f.Tag.Get("inline") == "true" {
		return n
	}
	child := names{own: n.own + "_" + variable(f), group: n.group}
	if n.fallback != "" {
		child.fallback = n.fallback + "_" + variable(f)
	}
	if inherit := f.Tag.Get("inherit"); inherit != "" {
		child.fallback, child.group = prefix+"_"+inherit, child.own
	}
	return child
}

func walk(v reflect.Value, n names, list *[]Setting) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || f.Tag.Get("ignored") == "true" {
			continue
		}
		child := n.field(f)
		if isGroup(f.Type) {
			walk(v.Field(i), child, list)
			continue
		}
		*list = append(*list, Setting{
			Name: child.own, Default: f.Tag.Get("default"), Required: f.Tag.Get("required") == "true",
			Secret: f.Type == reflect.TypeFor[Secret](), Desc: f.Tag.Get("desc"),
			value: v.Field(i), fallback: child.fallback, group: child.group,
		})
	}
}

// isGroup tells a struct of settings from a struct that is one setting.
func isGroup(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !decodes(t)
}

// decodes tells whether a type reads its own text.
func decodes(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[envconfig.Decoder]()) ||
		reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// variable returns the part of a variable's name that a field gives.
func variable(f reflect.StructField) string {
	if name := f.Tag.Get("envconfig"); name != "" {
		return strings.ToUpper(name)
	}
	var b strings.Builder
	lower := func(i int) bool { return i >= 0 && i < len(f.Name) && f.Name[i] >= 'a' && f.Name[i] <= 'z' }
	for i, r := range f.Name {
		// A word begins where a capital follows a small letter (SampleRatio) or ends an
		// acronym (CAFile).
		if i > 0 && !lower(i) && (lower(i-1) || lower(i+1)) {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// validate asks the parts of a configuration what is wrong with them, but for those of which a variable, or the group, is
// unread: they would be asked of a value that nobody set, or would tell again what the other group tells. whole reports
// whether all of v was read.
func validate(v reflect.Value, n names, unread map[string]bool) (whole bool, err error) {
	var errs []error
	whole = true
	for i := range v.NumField() {
		f := v.Type().Field(i)
		child := n.field(f)
		if !f.IsExported() || !isGroup(f.Type) {
			whole = whole && !unread[child.own]
			continue
		}
		read, err := validate(v.Field(i), child, unread)
		whole = whole && (read || child.own == n.own) // an inline part stands for itself
		errs = append(errs, err)
	}
	if c, ok := reflect.TypeAssert[Validator](v); ok && whole && !unread[n.group] {
		if err := c.Validate(); err != nil {
			errs = append(errs, named{err, n.wholeNames(v, err.Error())})
		}
	}
	return whole, errors.Join(errs...)
}

// named is an error of a part of a configuration, in the words of whoever sets the variables.
type named struct {
	error
	text string
}

// Error implements error.
func (e named) Error() string { return e.text }

// Unwrap returns the error as the part has it.
func (e named) Unwrap() error { return e.error }

var capitals = regexp.MustCompile(`\b[A-Z][A-Z0-9_]*[A-Z0-9]\b`)

// wholeNames puts whole variables in the place of the names that a part has for its own settings. A line that begins with none of
// them begins with what all of the part have in common.
func (n names) wholeNames(part reflect.Value, text string) string {
	var own []Setting
	walk(part, n, &own)
	isOwn := func(name string) bool {
		return slices.ContainsFunc(own, func(s Setting) bool { return s.Name == name })
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		line = capitals.ReplaceAllStringFunc(line, func(name string) string {
			if whole := n.own + "_" + name; isOwn(whole) || isOwn(strings.TrimSuffix(whole, "_FILE")) {
				return whole
			}
			return name
		})
		if !strings.HasPrefix(line, n.own) {
			line = n.own + "_*: " + line
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}

// typo is how many letters a mistyped name may differ by.
const typo = 2

// alike are a setting of the services and one of the command freshet (services/ctl/inspect): neither is the other mistyped.
var alike = []string{prefix + "_ADMIN_ADDRESS", prefix + "_ADMIN_ADDRESSES"}

// Mistyped lists the variables of environ that are almost one of cfg's, each with the
// one that was probably meant. Other unknown names that begin with FRESHET_ are left
// alone: the services may share one environment, and Kubernetes adds some.
func Mistyped(environ []string, cfg any) map[string]string {
	settings := Settings(cfg)
	env := parse(environ)
	known := make([]string, len(settings))
	for i, s := range settings {
		known[i] = s.Name
	}
	mistyped := map[string]string{}
	for name := range env {
		base := strings.TrimSuffix(name, "_FILE")
		if best := Nearest(base, known); best != "" && best != base && !slices.Contains(alike, name) {
			mistyped[name] = best
		}
	}
	return mistyped
}

// Nearest returns the known name that was probably meant, or "" where none is near.
func Nearest(name string, known []string) string {
	best, nearest := "", typo+1
	for _, k := range known {
		if d := levenshtein.Distance(name, k, nil); d < nearest {
			best, nearest = k, d
		}
	}
	return best
}
