module github.com/freshet-io/freshet/services/write

go 1.26.0

require (
	github.com/freshet-io/freshet/libs v0.0.0
	github.com/freshet-io/freshet/libs/fake v0.0.0
)

replace (
	github.com/freshet-io/freshet/libs => ../../libs
	github.com/freshet-io/freshet/libs/fake => ../../libs/fake
)
