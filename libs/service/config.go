package service

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/kelseyhightower/envconfig"
)

// prefix begins every variable's name.
const prefix = "FRESHET"

// nowhere is a variable that no environment has: values reach envconfig as
// defaults, since it reads the process's own environment only.
const nowhere = "FRESHET=NOWHERE"

// Validator is a part of a configuration that can tell more than its fields' types do.
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
	for _, s := range settings {
		if err := s.load(env, settings); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	if err := validate(reflect.ValueOf(cfg).Elem(), names{own: prefix}); err != nil {
		return fmt.Errorf("checking the configuration: %w", err)
	}
	return nil
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
			return nil // the variable that it falls back to tells of it
		case ok && decodes(s.value.Type()):
			return fmt.Errorf("%s: %q: %w", name, parse.Value, parse.Err) // the type knows best what it takes
		case ok:
			return fmt.Errorf("%s: %q is no %s", name, parse.Value, parse.TypeName)
		default:
			return fmt.Errorf("%s is not set: %s", name, s.Desc)
		}
	}
	s.value.Set(one.Elem().Field(0))
	return nil
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

func validate(v reflect.Value, n names) error {
	var errs []error
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && isGroup(f.Type) {
			errs = append(errs, validate(v.Field(i), n.field(f)))
		}
	}
	if c, ok := reflect.TypeAssert[Validator](v); ok {
		if err := c.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s_*: %w", n.own, err))
		}
	}
	return errors.Join(errs...)
}

// typo is how many letters a mistyped name may differ by.
const typo = 2

// adminAddresses is of the command freshet (services/ctl/inspect), and almost a setting of the services.
const adminAddresses = prefix + "_ADMIN_ADDRESSES"

// Mistyped lists the variables of environ that are almost one of cfg's, each with the
// one that was probably meant. Other unknown names that begin with FRESHET_ are left
// alone: the services may share one environment, and Kubernetes adds some.
func Mistyped(environ []string, cfg any) map[string]string {
	settings := Settings(cfg)
	env := parse(environ)
	mistyped := map[string]string{}
	for name := range env {
		best, nearest := "", typo+1
		for _, s := range settings {
			if d := levenshtein.Distance(strings.TrimSuffix(name, "_FILE"), s.Name, nil); d < nearest {
				best, nearest = s.Name, d
			}
		}
		if nearest > 0 && nearest <= typo && name != adminAddresses {
			mistyped[name] = best
		}
	}
	return mistyped
}
