package local

import (
	"fmt"
	"os"
	"path/filepath"
)

// Versions of the servers; scripts/install-*.sh install exactly these.
const (
	WeaviateVersion = "1.35.2"
	KafkaVersion    = "4.3.1"
	ApicurioVersion = "2.6.13.Final"
	PostgresVersion = "17.6.0"
	MariaDBVersion  = "11.4.5"
	DebeziumVersion = "3.7.0.Final"
	RedisVersion    = "7.0.15"
)

const kafkaLibs = "libs" // the folder with the jars, in Kafka's folder

// WeaviatePath returns the path of the Weaviate server in the cache, or an error that names the command that installs it.
func WeaviatePath() (string, error) {
	return cached("Weaviate "+WeaviateVersion, "weaviate-"+WeaviateVersion, "weaviate-server")
}

// RedisPath returns the path of the Redis server in the cache, or an error that names the command that installs it.
func RedisPath() (string, error) {
	return cached("Redis "+RedisVersion, "redis-"+RedisVersion, "usr", "bin", "redis-server")
}

// KafkaLibs returns the folder with the jars of Apache Kafka in the cache, or an error that names the command that
// installs them.
func KafkaLibs() (string, error) {
	return cached("Apache Kafka "+KafkaVersion, "kafka-"+KafkaVersion, kafkaLibs)
}

// SchemaRegistryHome returns the folder of Apicurio's registry and converters in the cache, or an error that names the
// command that installs them.
func SchemaRegistryHome() (string, error) {
	return cached("the schema registry of Apicurio "+ApicurioVersion, "apicurio-"+ApicurioVersion)
}

// PostgresHome returns the folder of PostgreSQL in the cache, or an error that names the command that installs it.
func PostgresHome() (string, error) {
	return cached("PostgreSQL "+PostgresVersion, "postgres-"+PostgresVersion)
}

// MariaDBHome returns the folder of MariaDB in the cache, or an error that names the command that installs it.
func MariaDBHome() (string, error) {
	return cached("MariaDB "+MariaDBVersion, "mariadb-"+MariaDBVersion)
}

// DebeziumHome returns the folder with the jars of Kafka Connect and of Debezium's connectors in the cache, or an error
// that names the command that installs them.
func DebeziumHome() (string, error) {
	return cached("Debezium "+DebeziumVersion, "debezium-"+DebeziumVersion)
}

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

func cached(what string, elem ...string) (string, error) {
	root, err := CacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(append([]string{root}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not installed (run `make servers`): %w", what, err)
	}
	return path, nil
}
