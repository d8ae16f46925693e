namespace Tessera.Text.Templates;

/// <summary>What a statement leads to next.</summary>
internal enum Flow
{
    Next,
    Continue,
    Break,
}

/// <summary>A part of a template that writes or sets something.</summary>
internal abstract record Statement(int Line)
{
    public Flow Run(Scope scope)
    {
        try
        {
            scope.Rendering.Step();
            return Execute(scope);
        }
        catch (TemplateException error) when (error.Line == 0)
        {
            throw error.At(Line);
        }
    }

    protected abstract Flow Execute(Scope scope);
}

internal sealed record Body(IReadOnlyList<Statement> Statements)
{
    public Flow Run(Scope scope)
    {
        foreach (var statement in Statements)
            if (statement.Run(scope) is var flow and not Flow.Next) return flow;
        return Flow.Next;
    }

    public string Capture(Scope scope) => scope.Rendering.Capture(() => Run(scope));
}

internal sealed record TextStatement(string Text, int Line) : Statement(Line)
{
    protected override Flow Execute(Scope scope)
    {
        scope.Rendering.Write(Text);
        return Flow.Next;
    }
}

internal sealed record PrintStatement(Expression Value, int Line) : Statement(Line)
{
    protected override Flow Execute(Scope scope)
    {
        scope.Rendering.Write(Printing.Text(Value.Evaluate(scope)));
        return Flow.Next;
    }
}

internal sealed record IfStatement(IReadOnlyList<(Expression Condition, Body Then)> Branches, Body? Else, int Line) : Statement(Line)
{
    protected override Flow Execute(Scope scope)
    {
        foreach (var (condition, then) in Branches)
            if (Operators.IsTrue(condition.Evaluate(scope))) return then.Run(scope);
        return Else?.Run(scope) ?? Flow.Next;
    }
}

/// <summary>Names that a value is given: one, several in a tuple, or an attribute of a namespace.</summary>
internal sealed record Target(IReadOnlyList<Target>? Parts, string Name, string? Attribute)
{
    public void Set(Scope scope, object? value)
    {
        if (Parts is not null)
        {
            if (value is not (string or IReadOnlyList<object?> or PythonDictionary or Undefined))
                throw new TemplateException(TemplateErrorKind.TypeError, $"cannot unpack non-iterable {Printing.TypeName(value)} object");
            var items = Operators.Items(value);
            if (items.Count != Parts.Count)
                throw new TemplateException(
                    TemplateErrorKind.ValueError, $"{items.Count} values cannot be unpacked into {Parts.Count} names");
            for (var i = 0; i < items.Count; i++) Parts[i].Set(scope, items[i]);
        }
        else if (Attribute is null)
        {
            scope[Name] = value;
        }
        else if (scope[Name] is NamespaceValue space)
        {
            space.Set(Attribute, value);
        }
        else
        {
            throw new TemplateException(TemplateErrorKind.TypeError, "cannot assign attribute on non-namespace object");
        }
    }
}

internal sealed record SetStatement(Target Target, Expression Value, int Line) : Statement(Line)
{
    protected override Flow Execute(Scope scope)
    {
        Target.Set(scope, Value.Evaluate(scope));
        return Flow.Next;
    }
}

/// <summary><c>{% set x %}…{% endset %}</c>.</summary>
internal sealed record SetBlockStatement(Target Target, IReadOnlyList<FilterExpression> Filters, Body Body, int Line) : Statement(Line)
{
    protected override Flow Execute(Scope scope)
    {
        object? value = Body.Capture(scope.Inner());
        foreach (var filter in Filters) value = filter.Apply(value, scope);
        Target.Set(scope, value);
        return Flow.Next;
    }
}

internal sealed record WithStatement(IReadOnlyList<(Target Target, Expression Value)> Values, Body Body, int Line) : Statement(Line)
{
    protected override Flow Execute(Scope scope)
    {
        var inner = scope.Inner();
        foreach (var (target, value) in Values) target.Set(inner, value.Evaluate(scope));
        return Body.Run(inner);
    }
}

internal sealed record FilterStatement(IReadOnlyList<FilterExpression> Filters, Body Body, int Line) : Statement(Line)
{
    protected override Flow Execute(Scope scope)
    {
        object? value = Body.Capture(scope.Inner());
        foreach (var filter in Filters) value = filter.Apply(value, scope);
        scope.Rendering.Write(Printing.Text(value));
        return Flow.Next;
    }
}

/// <summary>Marks what the model itself is to have written, for training on it alone.</summary>
internal sealed record GenerationStatement(Body Body, int Line) : Statement(Line)
{
    protected override Flow Execute(Scope scope)
    {
        var (rendering, start) = (scope.Rendering, scope.Rendering.Output.Length);
        var flow = Body.Run(scope.Inner());
        if (rendering.IsOutermost) rendering.Generated.Add((start, rendering.Output.Length));
        return flow;
    }
}

internal sealed record JumpStatement(Flow Flow, int Line) : Statement(Line)
{
    protected override Flow Execute(Scope scope) => Flow;
}

internal sealed record ForStatement(
    Target Target, Expression Items, Expression? Condition, bool Recursive, Body Body, Body? Else, int Line) : Statement(Line)
{
    protected override Flow Execute(Scope scope)
    {
        Loop(scope, Items.Evaluate(scope), 0);
        return Flow.Next;
    }

    private void Loop(Scope scope, object? over, int depth)
    {
        if (over is Undefined) over = new List<object?>();
        var items = Operators.Items(over);
        if (Condition is not null)
        {
            items = items.Where(item =>
            {
                var trial = scope.Inner();
                Target.Set(trial, item);
                return Operators.IsTrue(Condition.Evaluate(trial));
            }).ToList();
        }

        if (items.Count == 0) Else?.Run(scope.Inner());
        var loop = new LoopValue(items, depth, !Recursive ? null : inner => scope.Rendering.Capture(() => Loop(scope, inner, depth + 1)));
        for (; loop.Index < items.Count; loop.Index++)
        {
            scope.Rendering.Step();
            var inner = scope.Inner();
            inner["loop"] = loop;
            Target.Set(inner, items[loop.Index]);
            if (Body.Run(inner) == Flow.Break) break;
        }
    }
}

/// <summary>A macro, or the block that a <c>call</c> hands to one.</summary>
/// <param name="Uses">The special names that its body reads: <c>varargs</c>, <c>kwargs</c>, <c>caller</c>. What it does not read is not
/// taken.</param>
internal sealed record Macro(
    string Name, IReadOnlyList<(string Name, Expression? Default)> Parameters, Body Body, IReadOnlySet<string> Uses)
{
    private readonly Signature _takes = string.Join(", ", [
        .. Parameters.Select(own => $"{own.Name}?"), Uses.Contains("varargs") ? "*" : "", Uses.Contains("kwargs") ? "**" : "",
    ]);

    public Function In(Scope scope) => new(Name, "*, **", given => Call(scope, given))
    {
        Attributes = new Dictionary<string, object?>
        {
            ["name"] = Name, ["arguments"] = new PythonTuple([.. Parameters.Select(own => (object?)own.Name)]),
            ["catch_varargs"] = Uses.Contains("varargs"), ["catch_kwargs"] = Uses.Contains("kwargs"), ["caller"] = Uses.Contains("caller"),
        },
    };

    private string Call(Scope scope, Arguments given)
    {
        var inner = scope.Inner();
        if (Uses.Contains("caller") && given.Named.TryGetValue("caller", out var caller))
        {
            inner["caller"] = caller;
            given = given with { Named = given.Named.Where(own => own.Key != "caller").ToDictionary() };
        }

        _takes.Check($"macro '{Name}'", given);
        for (var i = 0; i < Parameters.Count; i++)
        {
            var (name, otherwise) = Parameters[i];
            if (i < given.Positional.Count) inner[name] = given.Positional[i];
            else if (given.Named.TryGetValue(name, out var value)) inner[name] = value;
            else
                inner[name] = otherwise?.Evaluate(inner)
                    ?? (otherwise is null ? new Undefined($"parameter '{name}' was not provided") : null);
        }

        inner["varargs"] = new PythonTuple([.. given.Positional.Skip(Parameters.Count)]);
        var others = new PythonDictionary();
        foreach (var (name, value) in given.Named)
            if (Parameters.All(parameter => parameter.Name != name)) others[name] = value;
        inner["kwargs"] = others;
        return Body.Capture(inner);
    }
}

/// <summary>A block: it writes its body where it stands, and again where <c>self</c> is asked for it.</summary>
internal sealed record BlockStatement(string Name, Body Body, int Line) : Statement(Line)
{
    protected override Flow Execute(Scope scope)
    {
        scope.Rendering.Blocks.Add(Name, () => Body.Capture(scope.Inner()));
        return Body.Run(scope.Inner());
    }
}

internal sealed record MacroStatement(Macro Macro, int Line) : Statement(Line)
{
    protected override Flow Execute(Scope scope)
    {
        scope[Macro.Name] = Macro.In(scope);
        return Flow.Next;
    }
}

internal sealed record CallStatement(Expression Target, ArgumentList Given, Macro Block, int Line) : Statement(Line)
{
    protected override Flow Execute(Scope scope)
    {
        var arguments = Given.Evaluate(scope);
        var named = new Dictionary<string, object?>(arguments.Named) { ["caller"] = Block.In(scope) };
        scope.Rendering.Write(
            Printing.Text(CallExpression.Call(Target.Evaluate(scope), arguments with { Named = named }, scope.Rendering)));
        return Flow.Next;
    }
}
