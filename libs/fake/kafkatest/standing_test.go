package kafkatest

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/kafka"
)

func TestStand_aGroupThatCannotBeDescribedIsNoGroupWithoutMembers(t *testing.T) {
	cluster, c := broker(t, kfake.SeedTopics(1, "source"))
	client := connect(t, c)
	if s, err := kafka.Stand(t.Context(), client, "nobody", "source"); err != nil || s.Members != 0 || len(s.Partitions) != 1 {
		t.Errorf("a group that does not exist: %+v, %v", s, err)
	}
	cluster.ControlKey(int16(kmsg.DescribeGroups), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		response := request.ResponseKind().(*kmsg.DescribeGroupsResponse)
		for _, group := range request.(*kmsg.DescribeGroupsRequest).Groups {
			described := kmsg.NewDescribeGroupsResponseGroup()
			described.Group, described.ErrorCode = group, kerr.UnknownServerError.Code
			response.Groups = append(response.Groups, described)
		}
		return response, nil, true
	})
	if s, err := kafka.Stand(t.Context(), client, "group", "source"); err == nil {
		t.Errorf("a group that is not described stands at %+v: it looks as if nobody ran it", s)
	}
}
