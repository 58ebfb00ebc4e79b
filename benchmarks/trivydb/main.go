// Writes a Trivy vulnerability database (schema 2) from lines of JSON on standard input:
//
//	{"platform":"debian 11","package":"openssl","flaw":"CVE-2024-0001","fixed":"1.1.1w-1"}
//
// usage: trivydb <cache directory>; it is filled as `trivy --cache-dir` expects.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

type row struct{ Platform, Package, Flaw, Fixed string }

func put(root *bbolt.Tx, value any, path ...string) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	bucket, err := root.CreateBucketIfNotExists([]byte(path[0]))
	for _, name := range path[1 : len(path)-1] {
		if err != nil {
			return err
		}
		bucket, err = bucket.CreateBucketIfNotExists([]byte(name))
	}
	if err != nil {
		return err
	}
	return bucket.Put([]byte(path[len(path)-1]), text)
}

func fill(root *bbolt.Tx) error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one row
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return err
		}
		source := map[string]string{"ID": "debian", "Name": "made from the same rows", "URL": "-"}
		fixed := map[string]string{"FixedVersion": one.Fixed}
		flaw := map[string]string{"Severity": "MEDIUM"}
		if err := put(root, source, "data-source", one.Platform); err != nil {
			return err
		}
		if err := put(root, fixed, one.Platform, one.Package, one.Flaw); err != nil {
			return err
		}
		if err := put(root, flaw, "vulnerability", one.Flaw); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	folder := filepath.Join(os.Args[1], "db")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		log.Fatal(err)
	}
	meta := `{"Version":2,"NextUpdate":"2099-01-01T00:00:00Z",` +
		`"UpdatedAt":"2026-01-01T00:00:00Z","DownloadedAt":"2026-01-01T00:00:00Z"}`
	if err := os.WriteFile(filepath.Join(folder, "metadata.json"), []byte(meta), 0o644); err != nil {
		log.Fatal(err)
	}
	db, err := bbolt.Open(filepath.Join(folder, "trivy.db"), 0o644, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := db.Update(fill); err != nil {
		log.Fatal(err)
	}
	if err := db.Close(); err != nil {
		log.Fatal(err)
	}
}
