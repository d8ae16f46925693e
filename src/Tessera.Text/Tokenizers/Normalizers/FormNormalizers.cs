namespace Tessera.Text.Tokenizers;

/// <summary>Normalization form C: characters put together, so that é is one character however it was typed.</summary>
public sealed class NfcNormalizer : Normalizer
{
    private protected override string Kind => "NFC";

    /// <inheritdoc/>
    public override string Normalize(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return UnicodeForm.C.Apply(text);
    }
}

/// <summary>Normalization form D: characters taken apart, so that é is e and a mark.</summary>
public sealed class NfdNormalizer : Normalizer
{
    private protected override string Kind => "NFD";

    /// <inheritdoc/>
    public override string Normalize(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return UnicodeForm.D.Apply(text);
    }
}

/// <summary>Normalization form KC: what only looks different made equal, so that ﬁ is fi and ① is 1, and characters put together.</summary>
public sealed class NfkcNormalizer : Normalizer
{
    private protected override string Kind => "NFKC";

    /// <inheritdoc/>
    public override string Normalize(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return UnicodeForm.KC.Apply(text);
    }
}

/// <summary>Normalization form KD: what only looks different made equal, so that ﬁ is fi and ① is 1, and characters taken apart.</summary>
public sealed class NfkdNormalizer : Normalizer
{
    private protected override string Kind => "NFKD";

    /// <inheritdoc/>
    public override string Normalize(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return UnicodeForm.KD.Apply(text);
    }
}
