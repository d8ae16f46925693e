using System.Numerics;

namespace Tessera.Generation.Sampling;

/// <summary>Which tokens of a vocabulary may come: a bit for each.</summary>
public sealed class TokenMask
{
    private const int BitsEach = 64;

    private readonly ulong[] _words;

    /// <summary>A mask that allows every token.</summary>
    /// <param name="vocabulary">How many tokens there are; at least 1.</param>
    public TokenMask(int vocabulary)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabulary, 1);
        (Vocabulary, _words) = (vocabulary, new ulong[(vocabulary + BitsEach - 1) / BitsEach]);
        AllowAll();
    }

    /// <summary>How many tokens there are.</summary>
    public int Vocabulary { get; }

    /// <summary>How many tokens may come.</summary>
    public int Count
    {
        get
        {
            var count = 0;
            foreach (var word in _words) count += BitOperations.PopCount(word);
            return count;
        }
    }

    /// <summary>Whether a token may come.</summary>
    /// <param name="token">0 to <see cref="Vocabulary"/> − 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such token.</exception>
    public bool this[int token]
    {
        get => (_words[Checked(token) / BitsEach] & Bit(token)) != 0;
        set
        {
            if (value) _words[Checked(token) / BitsEach] |= Bit(token);
            else _words[Checked(token) / BitsEach] &= ~Bit(token);
        }
    }

    /// <summary>Lets every token come.</summary>
    public void AllowAll()
    {
        Array.Fill(_words, ulong.MaxValue);
        _words[^1] >>= (BitsEach - (Vocabulary % BitsEach)) % BitsEach; // no bits beyond the last token
    }

    /// <summary>Lets no token come.</summary>
    public void ForbidAll() => Array.Clear(_words);

    /// <summary>Takes away the tokens that another mask does not allow.</summary>
    /// <param name="other">Of the same vocabulary.</param>
    /// <exception cref="ArgumentException">It is of another size.</exception>
    public void And(TokenMask other)
    {
        if (other.Vocabulary != Vocabulary)
            throw new ArgumentException($"a mask of {other.Vocabulary} tokens for a vocabulary of {Vocabulary}", nameof(other));
        for (var i = 0; i < _words.Length; i++) _words[i] &= other._words[i];
    }

    /// <summary>Sets the logits of tokens that may not come to −∞.</summary>
    /// <param name="logits">[vocabulary].</param>
    /// <exception cref="ArgumentException">There are more or fewer.</exception>
    public void Apply(Span<float> logits)
    {
        if (logits.Length != Vocabulary)
            throw new ArgumentException($"{logits.Length} logits for a vocabulary of {Vocabulary}", nameof(logits));
        for (var i = 0; i < _words.Length; i++)
        {
            var start = i * BitsEach;
            var forbidden = ~_words[i];
            if (forbidden == ulong.MaxValue) logits[start..Math.Min(start + BitsEach, Vocabulary)].Fill(float.NegativeInfinity);
            else
                for (; forbidden != 0 && start + BitOperations.TrailingZeroCount(forbidden) < Vocabulary; forbidden &= forbidden - 1)
                    logits[start + BitOperations.TrailingZeroCount(forbidden)] = float.NegativeInfinity;
        }
    }

    private static ulong Bit(int token) => 1UL << (token % BitsEach);

    private int Checked(int token) => (uint)token < (uint)Vocabulary ? token
        : throw new ArgumentOutOfRangeException(
            nameof(token), $"there is no token {token}; allowed: 0 to {Vocabulary - 1}, the vocabulary");
}
