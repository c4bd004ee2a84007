package countersign

import (
	"encoding/json"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth is how deep arrays and objects may be nested. The server's parser has the same bound.
const maxJSONDepth = 127

// parseObject reads one JSON object (RFC 8259) in which no two readers could see different values: valid UTF-8, every
// member name once at every depth, no lone surrogates, and nothing around the object but white space. encoding/json
// takes the last of two members with one name, matches names without regard to case and replaces invalid UTF-8, so
// it cannot be used for a text that is signed.
//
// The values are string, json.Number, bool, nil, []any and map[string]any.
func parseObject(text []byte) (map[string]any, bool) {
	if !utf8.Valid(text) {
		return nil, false
	}
	p := jsonParser{text: text}
	p.skipSpace()
	if p.at >= len(p.text) || p.text[p.at] != '{' {
		return nil, false
	}
	value, ok := p.value(0)
	if !ok {
		return nil, false
	}
	p.skipSpace()
	object, isObject := value.(map[string]any)
	return object, isObject && p.at == len(p.text)
}

type jsonParser struct {
	text []byte
	at   int
}

func (p *jsonParser) skipSpace() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// take consumes c if it is next, after white space.
func (p *jsonParser) take(c byte) bool {
	p.skipSpace()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// value reads a value inside of depth arrays and objects.
func (p *jsonParser) value(depth int) (any, bool) {
	p.skipSpace()
	if p.at >= len(p.text) {
		return nil, false
	}
	switch p.text[p.at] {
	case '{':
		return p.object(depth + 1)
	case '[':
		return p.array(depth + 1)
	case '"':
		return p.string()
	case 't':
		return true, p.literal("true")
	case 'f':
		return false, p.literal("false")
	case 'n':
		return nil, p.literal("null")
	default:
		return p.number()
	}
}

func (p *jsonParser) literal(word string) bool {
	if len(p.text)-p.at < len(word) || string(p.text[p.at:p.at+len(word)]) != word {
		return false
	}
	p.at += len(word)
	return true
}

func (p *jsonParser) object(depth int) (any, bool) {
	if depth > maxJSONDepth {
		return nil, false
	}
	p.at++ // the brace
	object := map[string]any{}
	if p.take('}') {
		return object, true
	}
	for {
		p.skipSpace()
		if p.at >= len(p.text) || p.text[p.at] != '"' {
			return nil, false
		}
		name, ok := p.string()
		if !ok || !p.take(':') {
			return nil, false
		}
		value, ok := p.value(depth)
		if !ok {
			return nil, false
		}
		if _, twice := object[name]; twice {
			return nil, false
		}
		object[name] = value
		if p.take('}') {
			return object, true
		}
		if !p.take(',') {
			return nil, false
		}
	}
}

func (p *jsonParser) array(depth int) (any, bool) {
	if depth > maxJSONDepth {
		return nil, false
	}
	p.at++ // the bracket
	array := []any{}
	if p.take(']') {
		return array, true
	}
	for {
		value, ok := p.value(depth)
		if !ok {
			return nil, false
		}
		array = append(array, value)
		if p.take(']') {
			return array, true
		}
		if !p.take(',') {
			return nil, false
		}
	}
}

// number reads a number and keeps its spelling. One that no float64 can hold is refused, as the server does.
func (p *jsonParser) number() (any, bool) {
	start := p.at
	if p.at < len(p.text) && p.text[p.at] == '-' {
		p.at++
	}
	switch {
	case p.at < len(p.text) && p.text[p.at] == '0':
		p.at++
	case p.digits() == 0:
		return nil, false
	}
	if p.at < len(p.text) && p.text[p.at] == '.' {
		p.at++
		if p.digits() == 0 {
			return nil, false
		}
	}
	if p.at < len(p.text) && (p.text[p.at] == 'e' || p.text[p.at] == 'E') {
		p.at++
		if p.at < len(p.text) && (p.text[p.at] == '+' || p.text[p.at] == '-') {
			p.at++
		}
		if p.digits() == 0 {
			return nil, false
		}
	}
	text := string(p.text[start:p.at])
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return nil, false
	}
	return json.Number(text), true
}

// digits consumes digits and returns how many there were.
func (p *jsonParser) digits() int {
	start := p.at
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at - start
}

func (p *jsonParser) string() (string, bool) {
	p.at++ // the quotation mark
	start := p.at
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			text := string(p.text[start:p.at])
			p.at++
			return text, true
		case c == '\\':
			return p.escapedString(start)
		case c < 0x20:
			return "", false
		default:
			p.at++
		}
	}
	return "", false
}

// escapedString reads the rest of a string from its first escape on.
func (p *jsonParser) escapedString(start int) (string, bool) {
	text := append([]byte(nil), p.text[start:p.at]...)
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch {
		case c == '"':
			return string(text), true
		case c < 0x20:
			return "", false
		case c != '\\':
			text = append(text, c)
			continue
		}
		escaped, ok := p.escape()
		if !ok {
			return "", false
		}
		text = utf8.AppendRune(text, escaped)
	}
	return "", false
}

// escape reads what follows a backslash.
func (p *jsonParser) escape() (rune, bool) {
	if p.at >= len(p.text) {
		return 0, false
	}
	c := p.text[p.at]
	p.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		first, ok := p.hex4()
		if !ok || !utf16.IsSurrogate(first) {
			return first, ok
		}
		// Half a pair stands for no character.
		if !p.literal(`\u`) {
			return 0, false
		}
		second, ok := p.hex4()
		pair := utf16.DecodeRune(first, second)
		return pair, ok && pair != utf8.RuneError
	default:
		return 0, false
	}
}

func (p *jsonParser) hex4() (rune, bool) {
	if len(p.text)-p.at < 4 {
		return 0, false
	}
	var value rune
	for _, c := range p.text[p.at : p.at+4] {
		switch {
		case c >= '0' && c <= '9':
			value = value<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			value = value<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			value = value<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	p.at += 4
	return value, true
}
