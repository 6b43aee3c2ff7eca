package embedder

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/freshet-io/freshet/libs/fault"
)

func large(t *testing.T, tokens int) limit {
	t.Helper()
	cfg := settings()
	cfg.MaxTokens = tokens
	l, err := cfg.limitOf("openai/text-embedding-3-large")
	if err != nil {
		t.Fatal(err)
	}
	if l.codec == nil {
		t.Fatal("tokens of an OpenAI model are not counted")
	}
	return l
}

func TestLimitsFollowTheModel(t *testing.T) {
	if l := large(t, 0); l.tokens != 8191 {
		t.Errorf("%d tokens", l.tokens)
	}
	l, err := settings().limitOf("use-lite")
	if err != nil || l.codec != nil || l.bytes != 32768 {
		t.Errorf("limit of another model is %+v, %v", l, err)
	}
	cfg := settings()
	cfg.Tokenizer = "cl100k"
	if l, err := cfg.limitOf("my-deployment"); err != nil || l.codec == nil {
		t.Errorf("a tokenizer by order: %+v, %v", l, err)
	}
	cfg.Tokenizer = "none"
	if l, err := cfg.limitOf("text-embedding-3-large"); err != nil || l.codec != nil {
		t.Errorf("no tokenizer by order: %+v, %v", l, err)
	}
}

func TestTextsAreCutBetweenTokensAndBetweenCharacters(t *testing.T) {
	texts := map[string]string{
		"English":  strings.Repeat("waterproof hiking boots for women; ", 40),
		"Chinese":  strings.Repeat("不锈钢厨房刀具套装，轻便透气的男士跑步鞋。", 30),
		"emoji":    strings.Repeat("👩‍👩‍👧‍👦🇨🇳", 50),
		"one word": strings.Repeat("a", 2000),
		"mixed":    strings.Repeat("索尼 WH-1000XM5 ħéàdphönes 降噪耳机 ", 40),
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			for tokens := 5; tokens < 60; tokens++ {
				l := large(t, tokens)
				f, err := l.fit(text, true)
				if err != nil {
					t.Fatalf("%d tokens: %v", tokens, err)
				}
				n, err := l.codec.Count(f.text)
				if err != nil {
					t.Fatal(err)
				}
				all, err := l.codec.Count(text)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(text, f.text) || !utf8.ValidString(f.text) || n > tokens || n != f.tokens || f.text == "" || !f.truncated || f.original != int64(all) {
					t.Fatalf("limit %d: %d tokens of %d, truncated %v, %q", tokens, n, f.original, f.truncated, f.text)
				}
				if tokens > 20 && n < tokens/2 {
					t.Errorf("limit %d: only %d tokens are left", tokens, n)
				}
			}
		})
	}
}

func TestTextsWithinTheLimitAreLeftAlone(t *testing.T) {
	l := large(t, 20)
	short := "twenty bytes or less"
	if f, err := l.fit(short, false); err != nil || f.text != short || f.truncated || f.original != 0 {
		t.Errorf("not counted: %+v, %v", f, err)
	}
	fits := "a text of more than twenty bytes"
	if f, err := l.fit(fits, false); err != nil || f.text != fits || f.truncated || f.original != int64(f.tokens) || f.tokens == 0 {
		t.Errorf("counted: %+v, %v", f, err)
	}
}

func TestLongTextsAreDeadLettersWhereCuttingIsNotAllowed(t *testing.T) {
	long := strings.Repeat("shoe ", 100)
	for name, l := range map[string]limit{"tokens": large(t, 20), "bytes": {bytes: 20}} {
		_, err := l.fit(long, false)
		if fault.ReasonOf(err) != fault.Oversize || strings.Contains(err.Error(), "shoe") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBytesAreCutBetweenCharacters(t *testing.T) {
	for n := 3; n < 12; n++ {
		f, err := limit{bytes: n}.fit("跑步鞋👟 shoe", true)
		if err != nil || len(f.text) > n || !utf8.ValidString(f.text) || !f.truncated || len(f.text) < n-3 {
			t.Errorf("%d bytes: %+v, %v", n, f, err)
		}
	}
	if _, err := (limit{bytes: 2}).fit("跑步鞋", true); fault.ReasonOf(err) != fault.Oversize {
		t.Errorf("a character beyond the limit: %v", err)
	}
}
