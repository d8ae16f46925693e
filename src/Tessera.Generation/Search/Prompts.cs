using Tessera.Models;
using Tessera.Models.Decoding;

namespace Tessera.Generation.Search;

/// <summary>How prompts become sequences of a session.</summary>
internal static class Prompts
{
    /// <summary>New tokens for which memory is taken beforehand; it grows for more.</summary>
    private const int ExpectedTokens = 1024;

    private static readonly int[] s_opening = PromptFormat.Own.TargetOpening();

    /// <summary>A sequence for each prompt, which is to read what stands before its text: the prompt, or, where that is a source to be
    /// translated, the token that begins every text.</summary>
    /// <param name="session">Without sequences.</param>
    /// <param name="model">The session's.</param>
    /// <param name="prompts">Token ids, none empty.</param>
    /// <param name="maxNewTokens">How many tokens each may grow by.</param>
    public static IReadOnlyList<DecodingSequence> Join(
        DecodingSession session, SequenceModel model, IReadOnlyList<int[]> prompts, int maxNewTokens)
    {
        var before = model.ReadsSource ? s_opening.Length : prompts.Max(prompt => prompt.Length);
        session.Reserve(prompts.Count, before + Expected(maxNewTokens));
        IReadOnlyList<DecodingSequence> sequences = model.ReadsSource ? session.Add(prompts) : [.. prompts.Select(_ => session.Add())];
        for (var index = 0; index < prompts.Count; index++) sequences[index].Read(model.ReadsSource ? s_opening : prompts[index]);
        return sequences;
    }

    /// <summary>For how many tokens room is made before it is known how many come.</summary>
    /// <param name="maxNewTokens">How many may come.</param>
    public static int Expected(int maxNewTokens) => Math.Min(maxNewTokens, ExpectedTokens);

    /// <summary>A sequence for one prompt, which joins others.</summary>
    public static DecodingSequence Join(DecodingSession session, SequenceModel model, int[] prompt)
    {
        var sequence = model.ReadsSource ? session.Add(prompt) : session.Add();
        try
        {
            sequence.Read(model.ReadsSource ? s_opening : prompt);
            return sequence;
        }
        catch
        {
            sequence.Remove();
            throw;
        }
    }
}
