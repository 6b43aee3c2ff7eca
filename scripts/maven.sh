# shellcheck shell=bash
# Sourced by those install-*.sh scripts, after cache.sh, that fetch something by Maven. Its local repository is a part of
# the partial folder and goes with it: outside the cache nothing is left.

# maven FOLDER WHAT GOAL ARG…: runs a goal of the dependency plugin with FOLDER/repository as the local repository.
maven() {
	local folder=$1 what=$2 goal=$3
	shift 3
	need java "install a Java runtime, version 17 or later"
	need mvn "install Apache Maven"
	mkdir -p "$folder"
	(cd "$folder" && mvn -q -B -ntp -Dmaven.repo.local="$folder/repository" "$@" \
		"org.apache.maven.plugins:maven-dependency-plugin:3.6.1:$goal") >"$folder/log" 2>&1 || {
		cat "$folder/log" >&2
		die "Maven could not fetch $what"
	}
	rm "$folder/log"
}

# copy_jars FOLDER INTO WHAT POM ARG…: copies the jars that POM needs at run time into FOLDER/INTO.
copy_jars() {
	local folder=$1 into=$2 what=$3 pom=$4
	shift 4
	maven "$folder" "$what" copy-dependencies -f "$pom" -DincludeScope=runtime -DoutputDirectory="$folder/$into" "$@"
}

# unpack FOLDER INTO WHAT GROUP:ARTIFACT:VERSION: unpacks a jar into FOLDER/INTO.
unpack() {
	maven "$1" "$3" unpack -Dartifact="$4" -DoutputDirectory="$1/$2"
	# shellcheck disable=SC2016 # The plugin takes this for the name of a project's folder, and leaves a marker there.
	rm -rf "$1/"'${project.basedir}'
}
