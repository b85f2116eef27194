"""Words that no variable can be called, because C++ keeps them for itself."""

#: Keywords, types and names of C++, and macros of its standard headers.
CPP_WORDS = frozenset({
    "BUFSIZ", "CHAR_BIT", "EDOM", "EOF", "ERANGE", "HUGE_VAL", "INFINITY", "INT_MAX", "INT_MIN",
    "LONG_MAX", "LONG_MIN", "NAN", "NDEBUG", "NULL", "RAND_MAX", "alignas", "alignof", "and_eq",
    "asm", "assert", "atomic_cancel", "atomic_commit", "atomic_noexcept", "auto", "bitand",
    "bitor", "bool", "break", "case", "catch", "char", "char16_t", "char32_t", "char8_t",
    "co_await", "co_return", "co_yield", "compl", "concept", "const", "const_cast", "consteval",
    "constexpr", "constinit", "continue", "decltype", "default", "delete", "do", "double",
    "dynamic_cast", "else", "enum", "errno", "explicit", "export", "extern", "false", "float",
    "for", "friend", "goto", "if", "inline", "int", "int16_t", "int32_t", "int64_t", "int8_t",
    "linux", "long", "main", "mutable", "namespace", "new", "noexcept", "not_eq", "nullptr",
    "operator", "or_eq", "private", "protected", "public", "reflexpr", "register",
    "reinterpret_cast", "requires", "restrict", "return", "short", "signed", "size_t", "sizeof",
    "static", "static_assert", "static_cast", "std", "stderr", "stdin", "stdout", "struct",
    "switch", "synchronized", "template", "this", "thread_local", "throw", "true", "try",
    "typedef", "typeid", "typename", "typeof", "uint16_t", "uint32_t", "uint64_t", "uint8_t",
    "union", "unix", "unsigned", "using", "virtual", "void", "volatile", "wchar_t", "xor",
    "xor_eq",
})  # fmt: skip
