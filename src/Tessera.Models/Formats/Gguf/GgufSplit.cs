using System.Globalization;
using System.Text.RegularExpressions;

namespace Tessera.Models.Formats.Gguf;

/// <summary>
/// A model in several GGUF files, as llama.cpp's <c>gguf-split</c> cuts it: <c>m-00001-of-00003.gguf</c> and so on. The first has all
/// metadata, each says which one it is (<c>split.no</c>, from 0) of how many (<c>split.count</c>), and how many tensors all have.
/// </summary>
internal static partial class GgufSplit
{
    private const string NumberKey = "split.no", CountKey = "split.count", TensorsKey = "split.tensors.count";
    private const int MaxParts = 99_999; // what the names have digits for

    /// <summary>The whole that a file is a part of, opened as the first part with the tensors of all; the file itself where it is
    /// whole.</summary>
    /// <param name="part">Any part; it is closed where another stands for it.</param>
    /// <exception cref="FileNotFoundException">Parts are missing; the message names them.</exception>
    /// <exception cref="InvalidDataException">The parts do not belong together, or their names do not say which is which.</exception>
    public static GgufFile Whole(GgufFile part)
    {
        var count = part.Whole(CountKey) ?? 1;
        if (count == 1) return part;
        if (count is < 1 or > MaxParts) throw Bad(part, CountKey, count, $"1 to {MaxParts}");
        var number = part.Whole(NumberKey) ?? 0;
        if (number < 0 || number >= count) throw Bad(part, NumberKey, number, $"0 to {count - 1}");
        var names = Names(part.Path, (int)number, (int)count);
        var missing = names.Where(name => !File.Exists(name)).Select(name => Path.GetFileName(name)).ToList();
        if (missing.Count > 0)
            throw new FileNotFoundException(
                $"{part.Path}: is part {number + 1} of {count} of one model, of which parts are missing: {NameList.Of(missing)}",
                missing[0]);
        var parts = new List<GgufFile>();
        try
        {
            for (var index = 0; index < count; index++) parts.Add(index == number ? part : Open(names[index], index, count));
            RequireTensors(parts);
            parts[0].Join(parts[1..]);
            return parts[0];
        }
        catch
        {
            foreach (var opened in parts) opened.Dispose();
            throw;
        }
    }

    private static GgufFile Open(string path, int number, long count)
    {
        var file = GgufFile.OpenPart(path);
        if (file.Whole(CountKey) == count && file.Whole(NumberKey) == number) return file;
        file.Dispose();
        throw new InvalidDataException($"{path}: does not say that it is part {number + 1} of {count}, which its name does");
    }

    private static string[] Names(string path, int number, int count)
    {
        var match = NamePattern().Match(path);
        var fits = match.Success && int.Parse(match.Groups["number"].ValueSpan, CultureInfo.InvariantCulture) == number + 1
            && int.Parse(match.Groups["count"].ValueSpan, CultureInfo.InvariantCulture) == count;
        if (!fits)
        {
            var ending = string.Create(CultureInfo.InvariantCulture, $"-{number + 1:D5}-of-{count:D5}.gguf");
            throw new InvalidDataException(
                $"{path}: is part {number + 1} of {count} of one model; give the parts their names again, which end in {ending}, so that "
                + "the others can be found");
        }

        var start = match.Groups["start"].Value;
        return [.. Enumerable.Range(1, count).Select(
            part => string.Create(CultureInfo.InvariantCulture, $"{start}-{part:D5}-of-{count:D5}.gguf"))];
    }

    private static void RequireTensors(List<GgufFile> parts)
    {
        var twice = parts.SelectMany(part => part.Tensors.Keys).GroupBy(name => name, StringComparer.Ordinal)
            .FirstOrDefault(same => same.Count() > 1);
        if (twice is not null)
            throw new InvalidDataException($"{parts[0].Path}: two of its {parts.Count} parts hold the tensor '{twice.Key}'");
        var (found, said) = (parts.Sum(part => part.Tensors.Count), parts[0].Whole(TensorsKey));
        if (said is not null && said != found)
            throw new InvalidDataException($"{parts[0].Path}: {TensorsKey} is {said}, but the {parts.Count} parts hold {found} tensors");
    }

    private static InvalidDataException Bad(GgufFile file, string key, long found, string allowed) =>
        new($"{file.Path}: metadata '{key}' is {found}; allowed: {allowed}");

    [GeneratedRegex(@"^(?<start>.*)-(?<number>\d{5})-of-(?<count>\d{5})\.gguf$", RegexOptions.CultureInvariant | RegexOptions.Singleline)]
    private static partial Regex NamePattern();
}
