package inspect

import "testing"

func TestWhyWaiting_aLookThatFailedIsNoStageThatIsDown(t *testing.T) {
	q := &inquiry{Inspector: &Inspector{}, now: &look{}}
	causes := q.whyWaiting(Waiting{Place: Place{Topic: "t", Partition: 4, Offset: 7}, Stage: stageWrite, Group: "t-write"})
	if len(causes) != 1 || causes[0].Code != CauseUnknown {
		t.Errorf("where write is could not be looked at, and the causes are %+v", causes)
	}
}
