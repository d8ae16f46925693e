using System.Text;

namespace Tessera.Text.Templates;

/// <summary>Names and their values; what is set in a loop or macro is not seen outside.</summary>
internal sealed class Scope(Rendering rendering, Scope? parent)
{
    private readonly Dictionary<string, object?> _values = new(StringComparer.Ordinal);

    public Rendering Rendering { get; } = rendering;

    public object? this[string name]
    {
        get
        {
            for (var scope = this; scope is not null; scope = scope.Parent)
                if (scope._values.TryGetValue(name, out var value)) return value;
            return Builtins.Find(name, Rendering) ?? new Undefined($"'{name}' is undefined");
        }
        set => _values[name] = value;
    }

    private Scope? Parent { get; } = parent;

    public Scope Inner() => new(Rendering, this);
}

/// <summary>One run of a template: its output, and the limits that end a template which would not end itself.</summary>
internal sealed class Rendering(DateTime now)
{
    private const int MaxSteps = 2_000_000;
    private const int MaxDepth = 200;
    private const int MaxLetters = 20_000_000;

    private readonly Stack<StringBuilder> _captures = new();
    private int _steps;
    private int _depth;

    public DateTime Now { get; } = now;

    public TemplateBlocks Blocks { get; } = new();

    public StringBuilder Output { get; private set; } = new();

    /// <summary>The parts of the output that the model is to have written, [start, end) in UTF-16 units.</summary>
    public List<(int Start, int End)> Generated { get; } = [];

    /// <summary>Whether what is written goes straight to the result.</summary>
    public bool IsOutermost => _captures.Count == 0;

    public void Write(string text)
    {
        if (Output.Length + (long)text.Length > MaxLetters)
            throw new TemplateException(TemplateErrorKind.OverflowError, $"the template prints more than {MaxLetters} characters");
        Output.Append(text);
    }

    /// <summary>Counts a statement or expression.</summary>
    public void Step()
    {
        if (++_steps > MaxSteps)
            throw new TemplateException(TemplateErrorKind.OverflowError, $"the template takes more than {MaxSteps} steps");
    }

    /// <summary>Runs something that may call itself.</summary>
    public T Nest<T>(Func<T> run)
    {
        if (++_depth > MaxDepth)
            throw new TemplateException(TemplateErrorKind.OverflowError, $"calls are nested more than {MaxDepth} deep");
        try
        {
            return run();
        }
        finally
        {
            _depth--;
        }
    }

    /// <summary>What <paramref name="write"/> writes, as a text.</summary>
    public string Capture(Action write)
    {
        _captures.Push(Output);
        Output = new StringBuilder();
        try
        {
            write();
            return Output.ToString();
        }
        finally
        {
            Output = _captures.Pop();
        }
    }
}
