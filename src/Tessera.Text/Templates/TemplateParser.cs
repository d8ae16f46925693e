namespace Tessera.Text.Templates;

/// <summary>Reads the statements of a template.</summary>
internal sealed class TemplateParser
{
    private const int MaxDepth = 100;

    private readonly TemplateTokens _tokens;
    private readonly ExpressionParser _expressions;
    private int _depth;
    private int _loops;

    private TemplateParser(List<TemplateToken> tokens)
    {
        _tokens = new TemplateTokens(tokens);
        _expressions = new ExpressionParser(_tokens);
    }

    public static Body Parse(string source)
    {
        var parser = new TemplateParser(TemplateLexer.Cut(source));
        var body = parser.ParseBody(out var end);
        return end is null ? body : throw parser._tokens.Error($"unexpected tag '{end}'");
    }

    /// <summary>Statements up to a tag that ends or divides a block, or to the end of the template; the name of that tag is read.</summary>
    private Body ParseBody(out string? end, params string[] ends)
    {
        if (++_depth > MaxDepth) throw _tokens.Error($"blocks are nested more than {MaxDepth} deep");
        var statements = new List<Statement>();
        while (true)
        {
            var token = _tokens.Next();
            switch (token.Kind)
            {
                case TokenKind.End when ends.Length == 0:
                    end = null;
                    _depth--;
                    return new Body(statements);
                case TokenKind.End:
                    throw _tokens.Error($"unexpected end of template; expected {string.Join(" or ", ends)}");
                case TokenKind.Text:
                    statements.Add(new TextStatement(token.Text, token.Line));
                    break;
                case TokenKind.Tag when token.Text == "{{":
                    statements.Add(new PrintStatement(_expressions.ParseTuple(), token.Line));
                    _tokens.Expect(TokenKind.Tag, "}}");
                    break;
                default:
                    var name = _tokens.ExpectName();
                    if (ends.Contains(name))
                    {
                        end = name;
                        _depth--;
                        return new Body(statements);
                    }

                    statements.Add(ParseStatement(name, token.Line));
                    break;
            }
        }
    }

    private Statement ParseStatement(string name, int line) => name switch
        {
            "if" => ParseIf(line),
            "for" => ParseFor(line),
            "set" => ParseSet(line),
            "macro" => ParseMacro(line),
            "call" => ParseCall(line),
            "with" => ParseWith(line),
            "filter" => ParseFilter(line),
            "block" => ParseNamedBlock(line),
            "generation" => ParseGeneration(line),
            "break" or "continue" => ParseJump(name, line),
            _ => throw _tokens.Error(
                $"unknown tag '{name}'; allowed: if, for, set, macro, call, with, filter, block, raw, generation, break, continue"),
        };

    private void EndTag() => _tokens.Expect(TokenKind.Tag, "%}");

    private Body ParseBlock(string end)
    {
        EndTag();
        var body = ParseBody(out _, end);
        EndTag();
        return body;
    }

    private IfStatement ParseIf(int line)
    {
        var branches = new List<(Expression, Body)>();
        while (true)
        {
            var condition = _expressions.ParseTuple();
            EndTag();
            branches.Add((condition, ParseBody(out var end, "elif", "else", "endif")));
            if (end == "elif") continue;
            EndTag();
            if (end == "endif") return new IfStatement(branches, null, line);
            var otherwise = ParseBody(out _, "endif");
            EndTag();
            return new IfStatement(branches, otherwise, line);
        }
    }

    private ForStatement ParseFor(int line)
    {
        var target = ParseTargets();
        _tokens.ExpectName("in");
        var items = _expressions.ParseTuple(conditional: false);
        var condition = _tokens.TakeName("if") ? _expressions.Parse() : null;
        var recursive = _tokens.TakeName("recursive");
        EndTag();
        _loops++;
        var body = ParseBody(out var end, "else", "endfor");
        _loops--;
        EndTag();
        if (end == "endfor") return new ForStatement(target, items, condition, recursive, body, null, line);
        var otherwise = ParseBody(out _, "endfor");
        EndTag();
        return new ForStatement(target, items, condition, recursive, body, otherwise, line);
    }

    private Statement ParseSet(int line)
    {
        var target = ParseTargets();
        if (_tokens.TakeSign("="))
        {
            var value = _expressions.ParseTuple();
            EndTag();
            return new SetStatement(target, value, line);
        }

        var filters = _expressions.ParseFilters();
        return new SetBlockStatement(target, filters, ParseBlock("endset"), line);
    }

    private MacroStatement ParseMacro(int line)
    {
        var name = _tokens.ExpectName();
        return new MacroStatement(ParseMacroBody(name, ParseParameters(), "endmacro"), line);
    }

    private CallStatement ParseCall(int line)
    {
        var parameters = _tokens.IsSign("(") ? ParseParameters() : [];
        if (_expressions.Parse() is not CallExpression call) throw _tokens.Error("expected a call");
        return new CallStatement(call.Target, call.Given, ParseMacroBody("caller", parameters, "endcall"), line);
    }

    private Macro ParseMacroBody(string name, List<(string, Expression?)> parameters, string end)
    {
        var start = _tokens.Place;
        var body = ParseBlock(end);
        return new Macro(name, parameters, body, _tokens.NamesFrom(start));
    }

    private BlockStatement ParseNamedBlock(int line)
    {
        var name = _tokens.ExpectName();
        while (_tokens.TakeName("scoped") || _tokens.TakeName("required")) { }
        EndTag();
        var body = ParseBody(out _, "endblock");
        _tokens.TakeName(name);
        EndTag();
        return new BlockStatement(name, body, line);
    }

    private WithStatement ParseWith(int line)
    {
        var values = new List<(Target, Expression)>();
        while (!_tokens.Is(TokenKind.Tag, "%}"))
        {
            if (values.Count > 0) _tokens.Expect(TokenKind.Sign, ",");
            var target = ParseTarget();
            _tokens.Expect(TokenKind.Sign, "=");
            values.Add((target, _expressions.Parse()));
        }

        return new WithStatement(values, ParseBlock("endwith"), line);
    }

    private FilterStatement ParseFilter(int line)
    {
        var filters = _expressions.ParseFilters(first: true);
        return new FilterStatement(filters, ParseBlock("endfilter"), line);
    }

    private GenerationStatement ParseGeneration(int line) => new(ParseBlock("endgeneration"), line);

    private JumpStatement ParseJump(string name, int line)
    {
        if (_loops == 0) throw _tokens.Error($"'{name}' stands outside a loop");
        EndTag();
        return new JumpStatement(name == "break" ? Flow.Break : Flow.Continue, line);
    }

    private List<(string, Expression?)> ParseParameters()
    {
        var parameters = new List<(string, Expression?)>();
        _tokens.Expect(TokenKind.Sign, "(");
        while (!_tokens.TakeSign(")"))
        {
            if (parameters.Count > 0) _tokens.Expect(TokenKind.Sign, ",");
            var name = _tokens.ExpectName();
            parameters.Add((name, _tokens.TakeSign("=") ? _expressions.Parse() : null));
        }

        return parameters;
    }

    private Target ParseTargets()
    {
        var parts = new List<Target> { ParseTarget() };
        var several = false;
        while (_tokens.TakeSign(","))
        {
            several = true;
            if (!_tokens.Is(TokenKind.Name)) break;
            parts.Add(ParseTarget());
        }

        return several ? new Target(parts, "", null) : parts[0];
    }

    private Target ParseTarget()
    {
        if (_tokens.TakeSign("("))
        {
            var inner = ParseTargets();
            _tokens.Expect(TokenKind.Sign, ")");
            return inner;
        }

        var name = _tokens.ExpectName();
        return new Target(null, name, _tokens.TakeSign(".") ? _tokens.ExpectName() : null);
    }
}
