package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var keep = flag.String("keep", "", "a directory to write the made-up page and figures to, for looking at them")

func TestKeep(t *testing.T) {
	if *keep == "" {
		return
	}
	var b bytes.Buffer
	if err := Write(&b, sample()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*keep, "report.html"), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, figure := range []string{FigureThroughput, FigureWaits} {
		for name, dark := range map[string]bool{"light": false, "dark": true} {
			var b bytes.Buffer
			if err := SVG(&b, sample(), figure, dark); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(*keep, figure+"-"+name+".svg"), b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
