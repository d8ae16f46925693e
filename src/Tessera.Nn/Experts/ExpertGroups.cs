using Tessera.Tensors;

namespace Tessera.Nn.Experts;

/// <summary>
/// Experts cut into groups of equal size, of which a token may visit a few only: those whose best experts score highest. Where
/// each group lives on a machine of its own, this bounds how many machines a token is sent to.
/// <para>DeepSeek-AI 2024 (DeepSeek-V2), <see href="https://arxiv.org/abs/2405.04434"/>, section 2.2.2.</para>
/// </summary>
internal sealed class ExpertGroups
{
    private readonly int _groups;
    private readonly int _active;
    private readonly int _best;

    /// <param name="part">Names the options in errors.</param>
    /// <param name="groups">How many groups; divides the experts.</param>
    /// <param name="active">How many of them a token may visit.</param>
    /// <param name="routed">How many experts.</param>
    /// <param name="chosen">How many of them a token visits; the groups it may visit must have so many.</param>
    /// <param name="best">How many of a group's experts, the best ones, add up to its score.</param>
    public ExpertGroups(PartBuilder part, int groups, int active, int routed, int chosen, int best)
    {
        part.Require(groups >= 1 && routed % groups == 0, "groups", groups, $"a divisor of the routed experts, {routed}");
        part.Require(active >= 1 && active <= groups, "activeGroups", active, $"1 to groups, {groups}");
        part.Require(
            chosen <= routed / groups * active, "activeGroups", active,
            $"so many that their experts, {routed / groups} each, are at least the {chosen} active ones");
        (_groups, _active, _best) = (groups, active, Math.Min(best, routed / groups));
    }

    /// <summary>Scores [tokens, experts] with −∞ for experts outside of a token's groups; no gradient.</summary>
    public Tensor Limit(Tensor scores) => _active == _groups ? scores : Op.LimitGroups(scores, _groups, _active, _best);
}
