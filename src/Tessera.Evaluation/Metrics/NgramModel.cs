namespace Tessera.Evaluation.Metrics;

/// <summary>
/// What a language model must beat: frequencies of tokens after the tokens before them, interpolated down to shorter contexts and at last
/// to an even guess: <c>p(w | h) = (c(h w) + t(h) · p(w | h')) / (c(h) + t(h))</c>, with <c>c(h)</c> how often h was followed by anything,
/// <c>t(h)</c> by how many different tokens, and <c>h'</c> being h without its first token. Every token has a probability above 0. Memory
/// grows with the different n-grams seen.
/// <para>Witten, Bell 1991, "The zero-frequency problem", method C; Chen, Goodman 1999, "An empirical study of smoothing techniques for
/// language modeling", section 2.</para>
/// </summary>
public sealed class NgramModel
{
    private readonly Dictionary<(int Context, int Token), int> _next = [];
    private readonly List<Node> _nodes = [default];

    /// <summary>A model that has seen nothing yet.</summary>
    /// <param name="order">The longest n-gram: 1 for frequencies of single tokens; 1 to 16.</param>
    /// <param name="vocabulary">How many tokens there are, at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">One is out of its range.</exception>
    public NgramModel(int order, int vocabulary)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(order, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(order, 16);
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabulary, 1);
        (Order, Vocabulary) = (order, vocabulary);
    }

    /// <summary>The longest n-gram.</summary>
    public int Order { get; }

    /// <summary>How many tokens there are.</summary>
    public int Vocabulary { get; }

    /// <summary>Counts a token after those before it.</summary>
    /// <param name="context">The tokens before it, the nearest last; may be empty, and all but the nearest are left out.</param>
    /// <param name="token">The token, 0 to <see cref="Vocabulary"/> − 1.</param>
    public void Add(ReadOnlySpan<int> context, int token)
    {
        for (var length = 0; length <= Math.Min(context.Length, Order - 1); length++)
        {
            var node = 0;
            for (var i = 1; i <= length; i++) node = Child(node, context[^i]);
            var seen = Child(node, ~token); // contexts grow backwards, what follows one is told from them by its sign
            var isNew = _nodes[seen].Count == 0;
            _nodes[seen] = _nodes[seen] with { Count = _nodes[seen].Count + 1 };
            var (_, total, types) = _nodes[node];
            _nodes[node] = _nodes[node] with { Total = total + 1, Types = types + (isNew ? 1 : 0) };
        }
    }

    /// <summary>The probability of a token after those before it, above 0.</summary>
    /// <inheritdoc cref="Add" path="/param"/>
    public double Probability(ReadOnlySpan<int> context, int token)
    {
        var (probability, node) = (1.0 / Vocabulary, 0);
        for (var length = 0; ; length++)
        {
            var (_, total, types) = _nodes[node];
            if (total > 0)
            {
                var count = _next.TryGetValue((node, ~token), out var seen) ? _nodes[seen].Count : 0;
                probability = (count + (types * probability)) / (total + types);
            }

            if (length == Math.Min(context.Length, Order - 1)) return probability;
            if (!_next.TryGetValue((node, context[^(length + 1)]), out node)) return probability;
        }
    }

    private int Child(int node, int token)
    {
        if (_next.TryGetValue((node, token), out var child)) return child;
        _next.Add((node, token), child = _nodes.Count);
        _nodes.Add(default);
        return child;
    }

    /// <summary>A context, or what followed one.</summary>
    /// <param name="Count">How often it followed its context.</param>
    /// <param name="Total">How often a token followed it.</param>
    /// <param name="Types">How many different ones.</param>
    private readonly record struct Node(int Count, int Total, int Types);
}
