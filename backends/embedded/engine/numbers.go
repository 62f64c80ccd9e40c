package engine

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// parseNumber reads a number as Lua 5.1 does, that is as C's strtod and
// strtoul do.
func parseNumber(s string, radix int) (float64, bool) {
	if n, ok := plainInteger(s); ok && radix == 10 {
		return n, true
	}
	s, _, _ = strings.Cut(s, "\x00") // C's strings end there
	s = strings.Trim(s, " \t\n\v\f\r")
	digits := strings.TrimLeft(s, "+-")
	hex := len(digits) > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X')
	if strings.ContainsRune(s, '_') || len(s)-len(digits) > 1 {
		return 0, false
	}
	if radix == 10 && !hex {
		f, err := strconv.ParseFloat(s, 64)
		// Out of range is infinity to strtod, and no error to Lua.
		return f, err == nil || math.IsInf(f, 0)
	}
	if hex && (radix == 10 || radix == 16) {
		digits, radix = digits[2:], 16
	}
	if radix < 2 || radix > 36 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, radix, 64)
	if s[0] == '-' {
		return -float64(n), err == nil
	}
	return float64(n), err == nil
}

// plainInteger reads what lock scripts read all the time: a few digits.
func plainInteger(s string) (float64, bool) {
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	return float64(n), true
}

// general is C's %.*g.
func general(f float64, precision int) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 0):
		return strings.ToLower(strconv.FormatFloat(f, 'f', -1, 64))[boolToInt(f > 0):]
	}
	return strconv.FormatFloat(f, 'g', precision, 64)
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// format is string.format. '%.0f' of an integer, the only way to write a fence
// that never says 1.7e+15, is done by hand.
func format(vm *VM, args []lua.LValue) lua.LValue {
	layout := vm.text(args, 0)
	if layout == "%.0f" && len(args) == 2 {
		if n, isNumber := args[1].(lua.LNumber); isNumber {
			return vm.boxes.string(whole(float64(n)))
		}
	}
	var out strings.Builder
	for arg := 1; layout != ""; {
		text, rest, found := strings.Cut(layout, "%")
		out.WriteString(text)
		if !found {
			break
		}
		if strings.HasPrefix(rest, "%") {
			out.WriteByte('%')
			layout = rest[1:]
			continue
		}
		end := 0
		for end < len(rest) && strings.IndexByte("-+ #0123456789.", rest[end]) >= 0 {
			end++
		}
		if end == len(rest) || end > len("-+ #0")+len("99.99") {
			vm.state.RaiseError("invalid option in 'format'")
		}
		out.WriteString(vm.directive(args, rest[:end], rest[end], arg))
		layout = rest[end+1:]
		arg++
	}
	return vm.boxes.string(out.String())
}

// directive formats one argument. Go's verbs and flags are C's for these.
func (vm *VM) directive(args []lua.LValue, flags string, verb byte, arg int) string {
	switch verb {
	case 'd', 'i':
		if n, ok := digits(vm.value(args, arg)); ok {
			if text, ok := zeros(flags, n); ok {
				return text
			}
		}
		return fmt.Sprintf("%"+flags+"d", truncate(vm.number(args, arg)))
	case 'u', 'x', 'X', 'o':
		n := uint64(truncate(vm.number(args, arg)))
		if verb == 'u' {
			verb = 'd'
		}
		return fmt.Sprintf("%"+flags+string(verb), n)
	case 'c':
		return string([]byte{byte(vm.integer(args, arg))})
	case 'f':
		if n, isNumber := vm.value(args, arg).(lua.LNumber); isNumber {
			if text, ok := padded(flags, float64(n)); ok {
				return text
			}
		}
		return fmt.Sprintf("%"+flags+"f", vm.number(args, arg))
	case 'e', 'E', 'g', 'G':
		if !strings.Contains(flags, ".") && (verb == 'g' || verb == 'G') {
			flags += ".6" // Go's default is the shortest that reads back
		}
		return fmt.Sprintf("%"+flags+string(verb), vm.number(args, arg))
	case 's':
		if flags == "" {
			return vm.text(args, arg)
		}
		return fmt.Sprintf("%"+flags+"s", vm.text(args, arg))
	}
	vm.state.RaiseError("invalid option '%%%c' to 'format'", verb)
	return ""
}

// padded is '%0N.0f' for a positive integer of at most N digits, N to 19.
func padded(flags string, f float64) (string, bool) {
	width, isWhole := strings.CutSuffix(flags, ".0")
	if !isWhole || f < 0 || f != math.Trunc(f) || f >= 1<<53 {
		return "", false
	}
	return zeros(width, strconv.FormatInt(int64(f), 10))
}

// digits is an argument that is a string of digits, as TIME's are, without a zero before them.
func digits(arg lua.LValue) (string, bool) {
	s, isString := arg.(lua.LString)
	if _, plain := plainInteger(string(s)); !isString || !plain || s[0] == '0' && len(s) > 1 {
		return "", false
	}
	return string(s), true
}

// zeros is '%0N' of digits, at most N of them, N to 19.
func zeros(width, digits string) (string, bool) {
	if len(width) < 2 || width[0] != '0' {
		return "", false
	}
	n, err := strconv.Atoi(width)
	if err != nil || n > 19 || len(digits) > n {
		return "", false
	}
	return "0000000000000000000"[:n-len(digits)] + digits, true
}

// whole is '%.0f': rounded to the nearest integer, to the even one of two.
func whole(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 && (f != 0 || !math.Signbit(f)) {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'f', 0, 64)
}
