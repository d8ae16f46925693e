namespace Tessera.Models.Conversion;

/// <summary>What was to be written is there already, and <see cref="ConversionOptions.Overwrite"/> does not allow to replace it.</summary>
/// <param name="target">The file or folder.</param>
public sealed class TargetExistsException(string target) : IOException($"'{target}' is there already");
