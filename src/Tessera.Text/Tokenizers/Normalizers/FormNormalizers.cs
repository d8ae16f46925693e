namespace Tessera.Text.Tokenizers;

/// <summary>One of Unicode's four normalization forms.</summary>
public abstract class FormNormalizer : Normalizer
{
    private readonly UnicodeForm _normPlacement;

    private protected FormNormalizer(UnicodeForm form, string kind) => (_normPlacement, Kind) = (form, kind);

    private protected sealed override string Kind { get; }

    /// <inheritdoc/>
    public sealed override string Normalize(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return _normPlacement.Apply(text);
    }
}

/// <summary>Normalization form C: characters put together, so that é is one character however it was typed.</summary>
public sealed class NfcNormalizer() : FormNormalizer(UnicodeForm.C, "NFC");

/// <summary>Normalization form D: characters taken apart, so that é is e and a mark.</summary>
public sealed class NfdNormalizer() : FormNormalizer(UnicodeForm.D, "NFD");

/// <summary>Normalization form KC: what only looks different made equal, so that ﬁ is fi and ① is 1, and characters put together.</summary>
public sealed class NfkcNormalizer() : FormNormalizer(UnicodeForm.KC, "NFKC");

/// <summary>Normalization form KD: what only looks different made equal, so that ﬁ is fi and ① is 1, and characters taken apart.</summary>
public sealed class NfkdNormalizer() : FormNormalizer(UnicodeForm.KD, "NFKD");
