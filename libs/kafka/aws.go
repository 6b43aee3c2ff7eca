package kafka

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/aws"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
)

// awsMechanism returns AWS_MSK_IAM with the credentials that AWS's own tools would
// take, renewed before they run out. This file alone imports AWS's SDK, for its chain
// of a dozen sources (environment, profiles, SSO, web identity, pod and machine roles):
// one written here would be wrong for some of them.
func awsMechanism(ctx context.Context) (sasl.Mechanism, error) {
	sdk, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fault.Halt("reading AWS's settings (environment and ~/.aws) for the mechanism AWS_MSK_IAM: %w", err)
	}
	return aws.ManagedStreamingIAM(func(ctx context.Context) (aws.Auth, error) {
		c, err := sdk.Credentials.Retrieve(ctx)
		if err != nil {
			// It may be a role's endpoint that is away.
			return aws.Auth{}, fmt.Errorf("getting AWS credentials: %w", err)
		}
		return aws.Auth{AccessKey: c.AccessKeyID, SecretKey: c.SecretAccessKey, SessionToken: c.SessionToken, UserAgent: "freshet/" + service.Version}, nil
	}), nil
}
