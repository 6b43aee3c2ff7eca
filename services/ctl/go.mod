module github.com/freshet-io/freshet/services/ctl

go 1.26.0

require (
	github.com/freshet-io/freshet/libs v0.0.0
	github.com/freshet-io/freshet/libs/fake v0.0.0
	github.com/freshet-io/freshet/services/embed v0.0.0
	github.com/freshet-io/freshet/services/ingest v0.0.0
	github.com/freshet-io/freshet/services/write v0.0.0
)

require (
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/mitchellh/colorstring v0.0.0-20190213212951-d06e56a500db // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	github.com/schollz/progressbar/v3 v3.19.1 // indirect
	github.com/spf13/cobra v1.10.2 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
	github.com/twmb/franz-go v1.22.3 // indirect
	github.com/weaviate/weaviate v1.27.0 // indirect
	github.com/weaviate/weaviate-go-client/v4 v4.16.1 // indirect
	golang.org/x/sync v0.25.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/term v0.48.0 // indirect
)

replace (
	github.com/freshet-io/freshet/libs => ../../libs
	github.com/freshet-io/freshet/libs/fake => ../../libs/fake
	github.com/freshet-io/freshet/services/embed => ../embed
	github.com/freshet-io/freshet/services/ingest => ../ingest
	github.com/freshet-io/freshet/services/write => ../write
)
