namespace Tessera.Generation;

/// <summary>An end of a prompt.</summary>
public enum PromptEnd
{
    /// <summary>Where it begins: what was said long ago.</summary>
    Start,

    /// <summary>Where it ends: what the model would go on with.</summary>
    End,
}

/// <summary>How long prompts may be, and what becomes of longer ones.</summary>
/// <param name="Context">The most tokens of a prompt, those around its text included; as many as the model can read where null.</param>
/// <param name="Truncate">Which end of a longer prompt is cut off; longer ones are refused where null. Without a
/// <paramref name="Context"/> a decoder's prompt is cut to half of the positions, so that as many are left to what it writes.</param>
public sealed record PromptLimit(int? Context = null, PromptEnd? Truncate = null);
