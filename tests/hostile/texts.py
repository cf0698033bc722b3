"""Names and descriptions that a terminal, a page, a table or a reader would take for more."""

# By what is odd about them.
TEXTS = {
    "colour": "\x1b[31mred\x1b[0m",
    "title_of_the_window": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clear_screen": "a\x1b[2J\x1b[H",
    "one_byte_escape": "a\x9b31mb\x9d0;t\x9c",
    "bell_and_backspace": "crack\x07\x08\x08\x08fine",
    "carriage_return": "crack\rfine ",
    "delete": "a\x7fb",
    "nul": "a\x00b",
    "new_lines": "a\nerror: b\n\n# c",
    "other_new_lines": "a\x0bb\x0cc\x85d\u2028e\u2029f",
    "tab": "a\tb",
    "turned_around": "photo\u202egnp.exe",
    "isolated": "a\u2066b\u2069\u2067c",
    "no_width": "cra\u200bck\u2060\ufeff",
    "filler": "a\u3164\u115f",
    "tags": "a\U000e0061\U000e0062",
    "lone_surrogate": "a\ud83d",
    "html": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "attribute": '" onmouseover="alert(3)" x=\'',
    "entity": "&lt;b&gt;&amp;&#60;",
    "template": "{{ 7 * 7 }}{% raw %}${7*7}",
    "markdown": "**a** _b_ `c` ~~d~~ [e](http://f) ![g](h) | i | j",
    "heading": "# a",
    "list": "- a",
    "console_markup": "[bold red]a[/bold red][/] :bug: [link=http://a]b[/link]",
    "format": "%s %n {0} {name!r}",
    "shell": "$(id) `id`; rm -rf ~ | cat > x && 'y' \"z\"",
    "formula": '=HYPERLINK("http://evil.example","click")',
    "plus": "+1+cmd|' /C calc'!A0",
    "minus": "-2+3",
    "at": "@SUM(1+1)",
    "tab_formula": "\t=1+1",
    "return_formula": "\r=1+1",
    "wide_formula": "\uff1d1+1",
    "quoted_formula": "'=1+1",
    "comma_and_quote": 'a,b;c"d',
    "math": "$\\frac{1}$ $x",
    "backslashes": "a\\b\\x1b",
    "spaces": "  a   b  ",
    "combining": "Z" + "\u0301\u0316\u0488" * 40,
    "emoji": "👩\u200d🔬🏽🇩🇪",
    "japanese": "傷\u3000あり",
    "right_to_left": "שבור سليم",
    "long": "long" * 500,
    "not_a_number": "NaN",
    "number": "007",
    "negative_number": "-0.5",
}

# Those that a disk takes for the name of a file or folder.
FILE_NAMES = {
    kind: text
    for kind, text in TEXTS.items()
    if not set(text) & {"/", "\0", "\ud83d"} and len(text.encode()) < 250
}
