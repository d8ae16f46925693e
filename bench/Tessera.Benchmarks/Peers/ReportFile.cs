namespace Tessera.Benchmarks.Peers;

/// <summary>A Markdown file with a section of measurements for each kind of processor. A run replaces its own, and leaves others as they
/// are.</summary>
internal static class ReportFile
{
    private const string Heading = "## ";

    private const string Introduction = """
        # Benchmarks

        A section for each kind of processor that was measured, each of one run of `Tessera.Benchmarks peers --output docs/benchmarks.md`
        on such a machine, which replaces its own section and no other.

        A ratio says how many times faster Tessera is; bar and goal are those for that kind of processor. Products and attention are the
        best of several runs of each side, training steps the median of several and the best of three turns. The peer is PyTorch, or what
        the line names: the current kernels (libtorch) through TorchSharp where they load, Debian's PyTorch 1.13 otherwise; the section
        says which. Tessera's share is what its time makes of the peak of a loop that only multiplies, or of the bandwidth of one that only
        adds up what it reads, measured in the same run with as many threads.

        - Products are `y = x Wᵀ`. In BF16 with 256 rows or more, Tessera's activations are F32 and rounded in each call, its weights packed
          once, as in an optimizer step; with fewer rows its weights are stored in BF16, as for inference. PyTorch has both in BF16.
        - A training step is forward, loss, backward, clipping and AdamW over 16 x 256 tokens, in a process of its own on each side, of the
          same sizes of model. BF16 is mixed precision on both sides, with F32 weights; libtorch's LSTM stays F32. Operations of a step are
          six for each weight that a token meets, and those of attention three times its forward ones.
        - Attention is causal, 8 heads of 64, one sequence: four operations for each number of each pair forward, ten backward. The blocks
          of MoBA are chosen by each query for itself among those before its own, by random keys, so that neighbours agree on nothing;
          choosing is not timed.
        - Matrix-vector products go over matrices of 512 MiB in all in turn, more than caches hold; the bandwidth is that of a vectorised
          sum over an array of that size by as many threads.
        - llama.cpp is node-llama-cpp's prebuilt library, on GGUF files that Tessera wrote: random weights, a prompt of 512 tokens, then 64.


        """;

    /// <summary>Writes a section in its place, or behind the others.</summary>
    public static void Write(string file, string title, string section)
    {
        var sections = File.Exists(file) ? Sections(File.ReadAllText(file)) : [];
        var (start, written) = ($"{Heading}{title}\n", $"{Heading}{title}\n\n{section}\n");
        var place = sections.FindIndex(each => each.StartsWith(start, StringComparison.Ordinal));
        if (place >= 0) sections[place] = written;
        else sections.Add(written);
        File.WriteAllText(file, Introduction + string.Concat(sections).TrimEnd('\n') + "\n");
    }

    /// <summary>The text from each heading to the next.</summary>
    private static List<string> Sections(string text)
    {
        var sections = new List<string>();
        for (var start = Next(0); start >= 0;)
        {
            var end = Next(start + 1);
            var section = end < 0 ? text[start..].TrimEnd('\n') + "\n\n" : text[start..end];
            sections.Add(section);
            start = end;
        }

        return sections;

        int Next(int from)
        {
            if (from == 0 && text.StartsWith(Heading, StringComparison.Ordinal)) return 0;
            var line = text.IndexOf("\n" + Heading, Math.Max(0, from - 1), StringComparison.Ordinal);
            return line < 0 ? -1 : line + 1;
        }
    }
}
