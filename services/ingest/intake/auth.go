package intake

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"unicode"
)

// authorise lets a client with a certificate or a token pass. A file of tokens that has become empty lets nobody.
func (c Config) authorise(r *http.Request) error {
	if c.AllowAnonymous || r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && c.knows(strings.TrimSpace(token)) {
		return nil
	}
	return refuse(http.StatusUnauthorized, "unauthorized", "the request has no token that is known here (Authorization: Bearer …), and no client certificate")
}

// knows compares with all tokens, in a time that tells nothing of them: hashes are of one length.
func (c Config) knows(token string) bool {
	given, found := sha256.Sum256([]byte(token)), 0
	for _, known := range c.tokens() {
		hash := sha256.Sum256([]byte(known))
		found |= subtle.ConstantTimeCompare(given[:], hash[:])
	}
	return found == 1
}

// tokens returns those that are in the file now.
func (c Config) tokens() []string {
	return strings.FieldsFunc(c.Tokens.Value(), func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}
