namespace Tessera.Generation.Sampling;

/// <summary>Divides logits: below 1 the likely become likelier, above 1 the unlikely do.</summary>
/// <param name="temperature">Greater than 0.</param>
public sealed class Temperature(float temperature) : SamplingStep
{
    private readonly float _temperature =
        Checked(temperature, temperature > 0 && float.IsFinite(temperature), "temperature", "greater than 0");

    /// <inheritdoc/>
    public override void Apply(Candidates candidates, TokenHistory history) => candidates.Divide(_temperature);
}
