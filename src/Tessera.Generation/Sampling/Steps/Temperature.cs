namespace Tessera.Generation.Sampling;

/// <summary>Divides logits: below 1 the likely become likelier, above 1 the unlikely do.</summary>
/// <param name="temperature">Greater than 0.</param>
public sealed class Temperature(float temperature) : SamplingStep
{
    /// <inheritdoc/>
    public override void Apply(Candidates candidates, TokenHistory history) => candidates.Divide(temperature);
}
