using System.Numerics;

namespace Tessera.Text.Templates;

/// <summary>A part of a template that has a value.</summary>
internal abstract record Expression(int Line)
{
    public object? Evaluate(Scope scope)
    {
        try
        {
            scope.Rendering.Step();
            Operators.RequireStack();
            return Compute(scope);
        }
        catch (TemplateException error) when (error.Line == 0)
        {
            throw error.At(Line);
        }
    }

    protected abstract object? Compute(Scope scope);
}

internal sealed record Literal(object? Value, int Line) : Expression(Line)
{
    protected override object? Compute(Scope scope) => Value;
}

internal sealed record NameExpression(string Name, int Line) : Expression(Line)
{
    protected override object? Compute(Scope scope) => scope[Name];
}

internal sealed record ListExpression(IReadOnlyList<Expression> Items, bool IsTuple, int Line) : Expression(Line)
{
    protected override object? Compute(Scope scope)
    {
        var values = Items.Select(item => item.Evaluate(scope));
        return IsTuple ? new PythonTuple([.. values]) : values.ToList();
    }
}

internal sealed record DictionaryExpression(IReadOnlyList<(Expression Key, Expression Value)> Entries, int Line) : Expression(Line)
{
    protected override object? Compute(Scope scope)
    {
        var dictionary = new PythonDictionary();
        foreach (var (key, value) in Entries) dictionary[key.Evaluate(scope)] = value.Evaluate(scope);
        return dictionary;
    }
}

internal sealed record UnaryExpression(string Sign, Expression Operand, int Line) : Expression(Line)
{
    protected override object? Compute(Scope scope) => Sign == "not"
        ? !Operators.IsTrue(Operand.Evaluate(scope))
        : Operators.Negate(Operand.Evaluate(scope), Sign == "-");
}

internal sealed record BinaryExpression(string Sign, Expression Left, Expression Right, int Line) : Expression(Line)
{
    protected override object? Compute(Scope scope)
    {
        var left = Left.Evaluate(scope);
        return Sign switch
        {
            "and" => Operators.IsTrue(left) ? Right.Evaluate(scope) : left,
            "or" => Operators.IsTrue(left) ? left : Right.Evaluate(scope),
            "~" => Operators.Binary("+", Printing.Text(left), Printing.Text(Right.Evaluate(scope))),
            _ => Operators.Binary(Sign, left, Right.Evaluate(scope)),
        };
    }
}

/// <summary><c>a &lt; b &lt;= c</c>: each value is computed once.</summary>
internal sealed record CompareExpression(Expression First, IReadOnlyList<(string Sign, Expression Other)> Rest, int Line) : Expression(Line)
{
    protected override object? Compute(Scope scope)
    {
        var left = First.Evaluate(scope);
        foreach (var (sign, other) in Rest)
        {
            var right = other.Evaluate(scope);
            var holds = sign switch
            {
                "==" => Operators.Equal(left, right),
                "!=" => !Operators.Equal(left, right),
                "in" => Operators.Contains(right, left),
                "not in" => !Operators.Contains(right, left),
                "<" => Operators.Compare(left, right, sign) < 0,
                "<=" => Operators.Compare(left, right, sign) <= 0,
                ">" => Operators.Compare(left, right, sign) > 0,
                _ => Operators.Compare(left, right, sign) >= 0,
            };
            if (!holds) return false;
            left = right;
        }

        return true;
    }
}

internal sealed record ConditionalExpression(Expression Condition, Expression Then, Expression? Else, int Line) : Expression(Line)
{
    protected override object? Compute(Scope scope) => Operators.IsTrue(Condition.Evaluate(scope))
        ? Then.Evaluate(scope)
        : Else is null ? new Undefined("the inline if-expression was false and has no else") : Else.Evaluate(scope);
}

internal sealed record AttributeExpression(Expression Target, string Name, int Line) : Expression(Line)
{
    protected override object? Compute(Scope scope) => Attributes.Get(Target.Evaluate(scope), Name);
}

internal sealed record ItemExpression(Expression Target, Expression Key, int Line) : Expression(Line)
{
    protected override object? Compute(Scope scope) => Attributes.Item(Target.Evaluate(scope), Key.Evaluate(scope));
}

internal sealed record SliceExpression(Expression Target, Expression? Start, Expression? Stop, Expression? By, int Line) : Expression(Line)
{
    protected override object? Compute(Scope scope) => Operators.Slice(
        Target.Evaluate(scope), Start?.Evaluate(scope), Stop?.Evaluate(scope), By?.Evaluate(scope));
}

/// <summary>The arguments of a call as they are written; a spread one has <c>*</c> or <c>**</c> for a name.</summary>
internal sealed record ArgumentList(IReadOnlyList<(string? Name, Expression Value)> Items)
{
    public static readonly ArgumentList Empty = new([]);

    public Arguments Evaluate(Scope scope)
    {
        if (Items.Count == 0) return Arguments.None;
        var (positional, named) = (new List<object?>(), new Dictionary<string, object?>());
        foreach (var (name, expression) in Items)
        {
            var value = expression.Evaluate(scope);
            if (name is null) positional.Add(value);
            else if (name == "*") positional.AddRange(Operators.Items(value));
            else if (name != "**") named[name] = value;
            else if (value is PythonDictionary dictionary) foreach (var (key, item) in dictionary.Entries) named[Printing.Text(key)] = item;
            else
                throw new TemplateException(
                    TemplateErrorKind.TypeError, $"argument after ** must be a mapping, not {Printing.TypeName(value)}");
        }

        return new Arguments(positional, named);
    }
}

internal sealed record CallExpression(Expression Target, ArgumentList Given, int Line) : Expression(Line)
{
    protected override object? Compute(Scope scope) => Call(Target.Evaluate(scope), Given.Evaluate(scope), scope.Rendering);

    public static object? Call(object? target, Arguments arguments, Rendering rendering) => target switch
    {
        Function function => rendering.Nest(() => function.Call(arguments)),
        LoopValue loop => rendering.Nest(() => loop.Again(arguments)),
        Undefined undefined => throw undefined.Error(),
        _ => throw new TemplateException(TemplateErrorKind.TypeError, $"'{Printing.TypeName(target)}' object is not callable"),
    };
}

internal sealed record FilterExpression(Expression? Target, string Name, ArgumentList Given, int Line) : Expression(Line)
{
    protected override object? Compute(Scope scope) => Apply(Target!.Evaluate(scope), scope);

    public object? Apply(object? value, Scope scope) => Filters.Apply(Name, value, Given.Evaluate(scope), scope.Rendering);
}

internal sealed record TestExpression(Expression Target, string Name, ArgumentList Given, bool Negated, int Line) : Expression(Line)
{
    protected override object? Compute(Scope scope) =>
        ValueTests.Holds(Name, Target.Evaluate(scope), Given.Evaluate(scope)) != Negated;
}
