package builtin

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/freshet-io/freshet/libs/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// original is what the model answers in TensorFlow.js, in float32.
type original struct {
	Text   string
	IDs    []int32
	Vector []float32
}

func originals(t testing.TB) []original {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []original
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 15 {
		t.Fatalf("%d texts", len(list))
	}
	return list
}

func load(t testing.TB) *Model {
	t.Helper()
	m, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPiecesAndVectorsAreThoseOfTheOriginal(t *testing.T) {
	m := load(t)
	for _, want := range originals(t) {
		ids, _ := m.tokenizer.encode(want.Text)
		if !slices.Equal(ids, want.IDs) {
			t.Errorf("%q: pieces %v, not %v", want.Text, ids, want.IDs)
		}
		vectors := make([][]float32, 1)
		m.encode(t.Context(), []sequence{{ids: want.IDs}}, vectors)
		if c := cosine(vectors[0], want.Vector); c < 0.999 {
			t.Errorf("%q: cosine %.5f to the original", want.Text, c)
		}
	}
}

func TestVectorsAreTheSameWithoutAcceleration(t *testing.T) {
	fast := dot
	t.Cleanup(func() { dot = fast })
	m := load(t)
	texts := []string{"Organic green tea"}
	want, err := m.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	dot = dotGo
	got, err := m.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range texts {
		if c := cosine(got.Vectors[i], want.Vectors[i]); c < 0.99999 {
			t.Errorf("%q: cosine %v", texts[i], c)
		}
	}
	if a, b := dotGo([]float32{1, 2, 3}, []float32{4, 5, 6}), float32(32); a != b {
		t.Errorf("product of a length that is no multiple of 8: %v", a)
	}
}

func TestVectorOfATextDoesNotDependOnItsNeighbours(t *testing.T) {
	m := load(t)
	var texts []string
	for i := range 40 {
		texts = append(texts, fmt.Sprintf("running shoe number %d %s", i, strings.Repeat("very light ", i%10)))
	}
	texts[19] = strings.Repeat("longer than the model reads ", 60)
	together, err := m.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 19, 39} {
		alone, err := m.Embed(t.Context(), texts[i:i+1])
		if err != nil {
			t.Fatal(err)
		}
		if c := cosine(alone.Vectors[0], together.Vectors[i]); c < 0.99999 {
			t.Errorf("text %d: cosine %v", i, c)
		}
	}
}

func TestTextsThatTheModelCannotReadFallBackToCharacters(t *testing.T) {
	m := load(t)
	texts := []string{"набор кухонных ножей", "running shoes", "беспроводные наушники", "наушники", "men's running shoes 男士跑步鞋", "😀😀😀", "!!! ???", "無線ヘッドホン"}
	got, err := m.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{0, 2, 3, 5, 7}; !slices.Equal(got.Fallbacks, want) {
		t.Errorf("fallbacks are %v, not %v", got.Fallbacks, want)
	}
	if c := cosine(got.Vectors[0], got.Vectors[2]); c > 0.3 {
		t.Errorf("knives and headphones have cosine %.2f", c)
	}
	if c := cosine(got.Vectors[2], got.Vectors[3]); c < 0.5 {
		t.Errorf("headphones and headphones have cosine %.2f", c)
	}
	for i, v := range got.Vectors {
		if n := cosine(v, v); len(v) != Dimensions || math.Abs(n-1) > 1e-4 {
			t.Errorf("%q: length %d, squared norm %v", texts[i], len(v), n)
		}
	}
}

func TestChineseIsReadWordByWord(t *testing.T) {
	for text, want := range map[string]string{
		"Organic green tea, 100 bags": "Organic green tea, 100 bags",
		"无线蓝牙耳机":                      "wireless Bluetooth headphones",
		"無線藍牙耳機":                      "wireless Bluetooth headphones",
		"帐篷，2人":                       "tent ,2 person",
		"Nike 跑步鞋、黑色。":                "Nike run shoe , black ,",
		"テント":                         "テント",
		"𠀀":                           "𠀀", // in no dictionary
	} {
		if got, err := inEnglish(text); err != nil || got != want {
			t.Errorf("%s: %q, not %q (%v)", text, got, want, err)
		}
	}
}

func TestChineseHasMeaningAndStaysTogether(t *testing.T) {
	got, err := load(t).Embed(t.Context(), []string{"屏蔽噪音的耳机", "降噪耳麦", "厨房刀具套装", "noise cancelling headphones", "kitchen knife set", "〇"})
	if err != nil || len(got.Fallbacks) != 0 {
		t.Fatalf("%v, fallbacks %v", err, got.Fallbacks)
	}
	v := got.Vectors
	if near, far := cosine(v[0], v[1]), cosine(v[0], v[2]); near <= far {
		t.Errorf("headphones: %.2f to headphones, %.2f to knives", near, far)
	}
	if near, far := cosine(v[0], v[3]), cosine(v[0], v[4]); near <= far {
		t.Errorf("Chinese headphones: %.2f to English ones, %.2f to English knives", near, far)
	}
	if own, other := cosine(v[0], v[1]), cosine(v[0], v[3]); own <= other {
		t.Errorf("Chinese headphones: %.2f to Chinese ones, %.2f to English ones", own, other)
	}
}

func TestMeaningIsNearerThanWords(t *testing.T) {
	m := load(t)
	got, err := m.Embed(t.Context(), []string{"shoes for jogging", "running trainers", "knife for jugged hare"})
	if err != nil {
		t.Fatal(err)
	}
	near, far := cosine(got.Vectors[0], got.Vectors[1]), cosine(got.Vectors[0], got.Vectors[2])
	if near <= far {
		t.Errorf("jogging shoes: %.2f to running trainers, %.2f to a knife", near, far)
	}
}

func TestEmptyTextIsRefusedAsOtherProvidersDo(t *testing.T) {
	_, err := load(t).Embed(t.Context(), []string{"tea", " \n"})
	if fault.ClassOf(err) != fault.Permanent || fault.ReasonOf(err) != fault.ProviderRejected {
		t.Fatalf("error is %v", err)
	}
}

func TestEndedContextStopsTheWork(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := load(t).Embed(ctx, []string{"tea"}); err == nil {
		t.Fatal("no error")
	}
}

func TestCommittedWeightsAreThoseOfTheConverter(t *testing.T) {
	sums, err := os.ReadFile("weights/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%x  use-lite.int8\n%x  pieces.tsv.gz\n%x  glossary.tsv.gz\n",
		sha256.Sum256(weightsFile), sha256.Sum256(piecesFile), sha256.Sum256(glossaryFile))
	if string(sums) != want {
		t.Errorf("sums are\n%sbut the files have\n%s", sums, want)
	}
}

func FuzzAnyTextHasAVector(f *testing.F) {
	m := load(f)
	for _, s := range []string{"a", "男士", "\xff\xfe", "\u0301", "ﬁ ½", "▁▁", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.TrimSpace(text) == "" {
			return
		}
		got, err := m.Embed(t.Context(), []string{text})
		if err != nil {
			t.Fatal(err)
		}
		if n := cosine(got.Vectors[0], got.Vectors[0]); math.IsNaN(n) || math.Abs(n-1) > 1e-4 {
			t.Fatalf("squared norm %v", n)
		}
	})
}

// BenchmarkEmbed prints texts a second; run it with -cpu 1 for the figure of a core.
func BenchmarkEmbed(b *testing.B) {
	m := load(b)
	var texts []string
	for len(texts) < 100 {
		for _, o := range originals(b)[:10] {
			texts = append(texts, o.Text)
		}
	}
	for b.Loop() {
		if _, err := m.Embed(b.Context(), texts); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(texts))/b.Elapsed().Seconds(), "texts/s")
}

func BenchmarkGlossary(b *testing.B) {
	for b.Loop() {
		if _, err := loadGlossary(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		load(b)
	}
}

// cosine returns the product of two unit vectors: the squared norm of one with itself.
func cosine(a, b []float32) float64 {
	var product float64
	for i := range a {
		product += float64(a[i]) * float64(b[i])
	}
	return product
}
