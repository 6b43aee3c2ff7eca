package weaviate

import (
	"regexp"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
)

// tenantName is what Weaviate takes for a tenant.
var tenantName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// tenant returns the tenant of Weaviate that holds an item, "" where the collection is not divided.
func (c *collection) tenant(item record.Item) string {
	if !c.tenants {
		return ""
	}
	return item.Tenant
}

// checkTenant returns a permanent fault for a tenant that the collection cannot have.
func (c *collection) checkTenant(tenant string) error {
	if c.tenants && !tenantName.MatchString(tenant) {
		return fault.Reject(fault.IndexRejected, "the tenant is not made of 1 to 64 letters, digits, - and _, as tenants of Weaviate are (collection %s)", c.spec.Name)
	}
	return nil
}
