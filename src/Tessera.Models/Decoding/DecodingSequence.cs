using System.Runtime.InteropServices;

namespace Tessera.Models.Decoding;

/// <summary>At which of the tokens that it reads a sequence wants logits.</summary>
public enum LogitPlaces
{
    /// <summary>At none.</summary>
    None,

    /// <summary>At the last one, of the token after it.</summary>
    Last,

    /// <summary>At each.</summary>
    All,
}

/// <summary>
/// One sequence of a <see cref="DecodingSession"/>. What it reads is computed by the session's next <see cref="DecodingSession.Step"/>; it
/// may be forked, go back and leave at any time between two steps.
/// </summary>
public sealed class DecodingSequence
{
    private readonly DecodingSession _session;
    private readonly List<int> _tokens;
    private readonly List<int> _places = [];

    internal DecodingSequence(DecodingSession session, int number, int expectedTokens) =>
        (_session, Number, _tokens) = (session, number, new List<int>(expectedTokens));

    /// <summary>How many tokens it has, those included that the next step will read.</summary>
    public int Length => _tokens.Count;

    /// <summary>Its tokens.</summary>
    public ReadOnlySpan<int> Tokens => CollectionsMarshal.AsSpan(_tokens);

    /// <summary>Where its logits stand among those of the last step: the first row; those of further places follow.</summary>
    public int LogitsRow { get; internal set; } = -1;

    /// <summary>How many rows of the last step's logits are its own.</summary>
    public int LogitsCount { get; internal set; }

    /// <summary>Its number in the caches; −1 once it has left.</summary>
    internal int Number { get; private set; }

    /// <summary>How many of its tokens are in the caches.</summary>
    internal int Cached { get; set; }

    /// <summary>How long it was when the tokens in the caches were marked with their positions.</summary>
    internal int Marked { get; set; }

    /// <summary>How many of its tokens steps have read; caches that could not go back may have fewer.</summary>
    internal int Computed { get; private set; }

    /// <summary>Whether it takes part in the next step: it has been given tokens that no step has read.</summary>
    internal bool Reads => _tokens.Count > Computed;

    /// <summary>The positions of tokens at which logits are wanted.</summary>
    internal List<int> Places => _places;

    /// <summary>Tokens that the caches do not have.</summary>
    internal int Pending => _tokens.Count - Cached;

    /// <summary>Has the next step read tokens.</summary>
    /// <param name="tokens">At least one, each of the model's vocabulary.</param>
    /// <param name="logits">At which of them logits are wanted.</param>
    /// <exception cref="ArgumentException">There is no token, one is not in the vocabulary, or there would be more than the model has
    /// positions for.</exception>
    /// <exception cref="InvalidOperationException">The sequence has left its session.</exception>
    public void Read(ReadOnlySpan<int> tokens, LogitPlaces logits = LogitPlaces.Last)
    {
        _session.RequireReadable(this, tokens);
        if (logits == LogitPlaces.All)
            for (var place = 0; place < tokens.Length; place++) _places.Add(_tokens.Count + place);
        _tokens.AddRange(tokens);
        if (logits == LogitPlaces.Last) _places.Add(_tokens.Count - 1);
    }

    /// <summary>As <see cref="Read(ReadOnlySpan{int}, LogitPlaces)"/>, of one token.</summary>
    public void Read(int token) => Read([token]);

    /// <summary>Another sequence that has read the same. What both have is kept once.</summary>
    /// <exception cref="InvalidOperationException">The sequence has left its session.</exception>
    public DecodingSequence Fork() => _session.Fork(this);

    /// <summary>Goes back: forgets the tokens from a length on.</summary>
    /// <param name="length">0 to <see cref="Length"/>.</param>
    /// <exception cref="ArgumentException">It is not.</exception>
    /// <exception cref="InvalidOperationException">The sequence has left its session.</exception>
    public void Truncate(int length)
    {
        if (length < 0 || length > Length)
            throw new ArgumentException($"a sequence of {Length} tokens cannot be cut to {length}; allowed: 0 to {Length}", nameof(length));
        _session.Truncate(this, length);
        _tokens.RemoveRange(length, _tokens.Count - length);
        _places.RemoveAll(place => place >= length);
        Computed = Math.Min(Computed, length);
    }

    /// <summary>Leaves the session, which gives back what only this sequence held. To leave again changes nothing.</summary>
    public void Remove()
    {
        if (Number < 0) return;
        _session.Remove(this);
        Number = -1;
    }

    /// <summary>A step has read all its tokens.</summary>
    internal void Complete()
    {
        Cached = Marked = Computed = _tokens.Count;
        _places.Clear();
    }

    internal void CopyFrom(DecodingSequence origin)
    {
        _tokens.AddRange(origin._tokens);
        _places.AddRange(origin._places);
        (Cached, Marked, Computed) = (origin.Cached, origin.Marked, origin.Computed);
    }
}
