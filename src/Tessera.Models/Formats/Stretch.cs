namespace Tessera.Models.Formats;

/// <summary>Consecutive elements that lie one after the other in one of our tensors and in one of a file's.</summary>
/// <param name="Ours">The first in ours.</param>
/// <param name="Theirs">The first in theirs.</param>
/// <param name="Count">How many.</param>
internal readonly record struct Stretch(long Ours, long Theirs, long Count);
