namespace Tessera.Text.Templates;

/// <summary>Reads expressions, with Jinja's order of precedence.</summary>
internal sealed class ExpressionParser(TemplateTokens tokens)
{
    private const int MaxDepth = 100;
    private int _depth;

    /// <summary>An expression, or several with commas between, which make a tuple.</summary>
    public Expression ParseTuple(bool conditional = true)
    {
        var line = tokens.Current.Line;
        var first = conditional ? Parse() : ParseOr();
        if (!tokens.IsSign(",")) return first;
        var items = new List<Expression> { first };
        while (tokens.TakeSign(",") && !tokens.Is(TokenKind.Tag) && !tokens.IsSign(")")) items.Add(conditional ? Parse() : ParseOr());
        return new ListExpression(items, IsTuple: true, line);
    }

    /// <summary>One expression.</summary>
    public Expression Parse()
    {
        if (++_depth > MaxDepth) throw tokens.Error($"expressions are nested more than {MaxDepth} deep");
        var line = tokens.Current.Line;
        var value = ParseOr();
        while (tokens.TakeName("if"))
        {
            var condition = ParseOr();
            value = new ConditionalExpression(condition, value, tokens.TakeName("else") ? Parse() : null, line);
        }

        _depth--;
        return value;
    }

    /// <summary>Filters after their bars; where <paramref name="first"/>, the first one has no bar.</summary>
    public List<FilterExpression> ParseFilters(bool first = false)
    {
        var filters = new List<FilterExpression>();
        while (first || tokens.TakeSign("|"))
        {
            first = false;
            filters.Add(ParseFilter(null));
        }

        return filters;
    }

    private Expression ParseOr() => ParseChain(() => ParseChain(ParseNot, "and"), "or");

    private Expression ParseChain(Func<Expression> part, string name)
    {
        var left = part();
        while (tokens.Current is var token && tokens.TakeName(name)) left = new BinaryExpression(name, left, part(), token.Line);
        return left;
    }

    private Expression ParseNot()
    {
        var line = tokens.Current.Line;
        if (!tokens.TakeName("not")) return ParseCompare();
        if (++_depth > MaxDepth) throw tokens.Error($"expressions are nested more than {MaxDepth} deep");
        var operand = ParseNot();
        _depth--;
        return new UnaryExpression("not", operand, line);
    }

    private Expression ParseCompare()
    {
        var line = tokens.Current.Line;
        var first = ParseSum();
        var rest = new List<(string, Expression)>();
        while (true)
        {
            if (tokens.Is(TokenKind.Sign) && tokens.Current.Text is "==" or "!=" or "<" or "<=" or ">" or ">=")
                rest.Add((tokens.Next().Text, ParseSum()));
            else if (tokens.TakeName("in")) rest.Add(("in", ParseSum()));
            else if (tokens.TakeName("not"))
            {
                tokens.ExpectName("in");
                rest.Add(("not in", ParseSum()));
            }
            else return rest.Count == 0 ? first : new CompareExpression(first, rest, line);
        }
    }

    private Expression ParseSum() => ParseSigns(() => ParseSigns(() => ParseSigns(ParsePower, "*", "/", "//", "%"), "~"), "+", "-");

    private Expression ParsePower() => ParseSigns(() => ParseUnary(filtered: true), "**");

    private Expression ParseSigns(Func<Expression> part, params ReadOnlySpan<string> signs)
    {
        var left = part();
        while (tokens.Is(TokenKind.Sign) && signs.Contains(tokens.Current.Text))
        {
            var sign = tokens.Next();
            left = new BinaryExpression(sign.Text, left, part(), sign.Line);
        }

        return left;
    }

    private Expression ParseUnary(bool filtered)
    {
        if (++_depth > MaxDepth) throw tokens.Error($"expressions are nested more than {MaxDepth} deep");
        var token = tokens.Current;
        var value = tokens.TakeSign("-") || tokens.TakeSign("+")
            ? new UnaryExpression(token.Text, ParseUnary(filtered: false), token.Line)
            : ParsePrimary();
        value = ParsePostfix(value);
        if (filtered) value = ParseFiltersAndTests(value);
        _depth--;
        return value;
    }

    private Expression ParsePrimary()
    {
        var token = tokens.Next();
        switch (token.Kind)
        {
            case TokenKind.Number: return new Literal(token.Value, token.Line);
            case TokenKind.String:
                var text = (string)token.Value!;
                while (tokens.Is(TokenKind.String)) text += (string)tokens.Next().Value!;
                return new Literal(text, token.Line);
            case TokenKind.Name:
                return token.Text switch
                {
                    "true" or "True" => new Literal(true, token.Line),
                    "false" or "False" => new Literal(false, token.Line),
                    "none" or "None" => new Literal(null, token.Line),
                    _ => new NameExpression(token.Text, token.Line),
                };
            case TokenKind.Sign when token.Text == "(":
                if (tokens.TakeSign(")")) return new ListExpression([], IsTuple: true, token.Line);
                var inner = ParseTuple();
                tokens.Expect(TokenKind.Sign, ")");
                return inner;
            case TokenKind.Sign when token.Text == "[": return new ListExpression(ParseItems("]", Parse), IsTuple: false, token.Line);
            case TokenKind.Sign when token.Text == "{": return new DictionaryExpression(ParseItems("}", ParseEntry), token.Line);
            default: throw new TemplateException(TemplateErrorKind.SyntaxError, $"unexpected '{token.Text}'", token.Line);
        }
    }

    private (Expression, Expression) ParseEntry()
    {
        var key = Parse();
        tokens.Expect(TokenKind.Sign, ":");
        return (key, Parse());
    }

    private List<T> ParseItems<T>(string end, Func<T> item)
    {
        var items = new List<T>();
        while (!tokens.TakeSign(end))
        {
            if (items.Count > 0) tokens.Expect(TokenKind.Sign, ",");
            if (tokens.TakeSign(end)) break;
            items.Add(item());
        }

        return items;
    }

    private Expression ParsePostfix(Expression value)
    {
        while (true)
        {
            var line = tokens.Current.Line;
            if (tokens.TakeSign("."))
            {
                value = tokens.Is(TokenKind.Number)
                    ? new ItemExpression(value, new Literal(tokens.Next().Value, line), line)
                    : new AttributeExpression(value, tokens.ExpectName(), line);
            }
            else if (tokens.TakeSign("[")) value = ParseSubscript(value, line);
            else if (tokens.IsSign("(")) value = new CallExpression(value, ParseArguments(), line);
            else return value;
        }
    }

    private Expression ParseSubscript(Expression value, int line)
    {
        var (parts, colons) = (new Expression?[3], 0);
        while (!tokens.TakeSign("]"))
        {
            if (tokens.TakeSign(":")) colons++;
            else if (colons > 2 || parts[colons] is not null) throw tokens.Error($"expected ']', found '{tokens.Current.Text}'");
            else parts[colons] = ParseTuple();
            if (colons > 2) throw tokens.Error("a slice has two colons at most");
        }

        if (colons > 0) return new SliceExpression(value, parts[0], parts[1], parts[2], line);
        return parts[0] is { } key ? new ItemExpression(value, key, line) : throw tokens.Error("expected an index");
    }

    private ArgumentList ParseArguments()
    {
        tokens.Expect(TokenKind.Sign, "(");
        return new ArgumentList(ParseItems(")", () =>
        {
            if (tokens.TakeSign("*")) return ("*", Parse());
            if (tokens.TakeSign("**")) return ("**", Parse());
            var value = Parse();
            return value is NameExpression name && tokens.TakeSign("=") ? ((string?)name.Name, Parse()) : (null, value);
        }));
    }

    private Expression ParseFiltersAndTests(Expression value)
    {
        while (true)
        {
            if (tokens.TakeSign("|")) value = ParseFilter(value);
            else if (tokens.TakeName("is")) value = ParseTest(value);
            else if (tokens.IsSign("(")) value = new CallExpression(value, ParseArguments(), tokens.Current.Line);
            else return value;
        }
    }

    private FilterExpression ParseFilter(Expression? value)
    {
        var line = tokens.Current.Line;
        var name = tokens.ExpectName();
        if (!Filters.Exists(name)) throw tokens.Error($"there is no filter named '{name}'");
        return new FilterExpression(value, name, tokens.IsSign("(") ? ParseArguments() : ArgumentList.Empty, line);
    }

    private TestExpression ParseTest(Expression value)
    {
        var line = tokens.Current.Line;
        var negated = tokens.TakeName("not");
        var name = tokens.ExpectName();
        if (!ValueTests.Exists(name)) throw tokens.Error($"there is no test named '{name}'");
        var arguments = ArgumentList.Empty;
        if (tokens.IsName("is")) throw tokens.Error("tests cannot be chained with 'is'");
        if (tokens.IsSign("(")) arguments = ParseArguments();
        else if (StartsOperand()) arguments = new ArgumentList([(null, ParsePostfix(ParsePrimary()))]);
        return new TestExpression(value, name, arguments, negated, line);
    }

    /// <summary>Whether a test's one argument follows without parentheses.</summary>
    private bool StartsOperand() => tokens.Current.Kind switch
    {
        TokenKind.Name => tokens.Current.Text is not ("else" or "or" or "and"), // so "is defined if" is an error, as it is in Jinja
        TokenKind.Number or TokenKind.String => true,
        TokenKind.Sign => tokens.Current.Text is "[" or "{",
        _ => false,
    };
}
