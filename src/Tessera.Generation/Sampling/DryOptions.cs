namespace Tessera.Generation.Sampling;

/// <summary>How <see cref="DryPenalty"/> punishes runs of tokens that come again.</summary>
/// <param name="Multiplier">The penalty of a run of <paramref name="AllowedLength"/> tokens; greater than 0, 0.8 is usual.</param>
/// <param name="Base">By which each further token multiplies it; at least 1.</param>
/// <param name="AllowedLength">The shortest run that is punished; at least 1.</param>
/// <param name="Window">In how many of the last tokens runs are looked for; all where 0.</param>
public sealed record DryOptions(float Multiplier = 0.8f, float Base = 1.75f, int AllowedLength = 2, int Window = 0)
{
    /// <summary>Tokens that no run goes across, such as line breaks: see <see cref="Models.ModelFolder.TokensContaining"/>.</summary>
    public IReadOnlyList<int> Breakers { get; init; } = [];

    /// <summary>Throws where an option is out of its range.</summary>
    /// <exception cref="ArgumentException">The message names the option, its value and what is allowed.</exception>
    public void Validate()
    {
        Require(Multiplier > 0 && float.IsFinite(Multiplier), "multiplier", Multiplier, "greater than 0");
        Require(Base >= 1 && float.IsFinite(Base), "base", Base, "at least 1");
        Require(AllowedLength >= 1, "allowed length", AllowedLength, "at least 1");
        Require(Window >= 0, "window", Window, "at least 0");
    }

    private static void Require(bool condition, string option, object found, string allowed)
    {
        if (!condition) throw new ArgumentException($"dry {option} is {found}; allowed: {allowed}");
    }
}
