package local

import (
	"fmt"
	"os"
	"path/filepath"
)

// Versions of the servers that others name.
const (
	WeaviateVersion = "1.35.2"
	KafkaVersion    = "4.3.1"
)

// Package is a server's files in the cache; scripts/install-NAME.sh installs exactly this version.
type Package struct{ Title, Script, Folder, Version string }

// Packages that the servers are made of.
var (
	WeaviatePackage = Package{"Weaviate", "weaviate", "weaviate", WeaviateVersion}
	KafkaPackage    = Package{"Apache Kafka", "kafka", "kafka", KafkaVersion}
	ApicurioPackage = Package{"the schema registry of Apicurio", "schema-registry", "apicurio", "2.6.13.Final"}
	PostgresPackage = Package{"PostgreSQL", "postgres", "postgres", "17.6.0"}
	MariaDBPackage  = Package{"MariaDB", "mariadb", "mariadb", "11.4.5"}
	DebeziumPackage = Package{"Debezium", "debezium", "debezium", "3.7.0.Final"}
	RedisPackage    = Package{"Redis", "redis", "redis", "7.0.15"}
	JaegerPackage   = Package{"Jaeger", "jaeger", "jaeger", "1.76.0"}

	PrometheusPackage = Package{"Prometheus", "prometheus", "prometheus", "2.42.0"}
)

// Path returns the path of a file or folder of the package, or an error that names the command that installs it.
func (p Package) Path(elem ...string) (string, error) {
	root, err := CacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(append([]string{root, p.Folder + "-" + p.Version}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s %s is not installed (run `make servers`): %w", p.Title, p.Version, err)
	}
	return path, nil
}

// WeaviatePath returns the path of the Weaviate server.
func WeaviatePath() (string, error) { return WeaviatePackage.Path("weaviate-server") }

// CacheDir returns Freshet's folder for what can be made again, by the rule that scripts/cache.sh has too; it need not
// exist. os.UserCacheDir would differ from it outside Linux. It fails where the user has no home folder.
func CacheDir() (string, error) {
	root := os.Getenv("XDG_CACHE_HOME")
	if root == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("finding the cache folder: %w", err)
		}
		root = filepath.Join(home, ".cache")
	}
	return filepath.Join(root, "freshet"), nil
}
