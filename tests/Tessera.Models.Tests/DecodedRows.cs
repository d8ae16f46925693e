using Tessera.Models.Decoding;
using Tessera.Tensors;

namespace Tessera.Models.Tests;

/// <summary>Sequences of a session taken as rows: what each reads next, logits row by row, rows that are repeated or left out.</summary>
internal sealed class DecodedRows
{
    private readonly SequenceModel _model;
    private List<DecodingSequence> _rows;

    public DecodedRows(SequenceModel model, params int[][] sources)
    {
        (_model, Session) = (model, new DecodingSession(model));
        _rows = model.ReadsSource ? [.. Session.Add(sources)] : [.. sources.Select(_ => Session.Add())];
    }

    public DecodingSession Session { get; }

    public int Rows => _rows.Count;

    /// <summary>[rows, vocabulary]: the logits after the tokens that each row reads.</summary>
    public Tensor Next(params int[][] tokens)
    {
        for (var row = 0; row < _rows.Count; row++) _rows[row].Read(tokens[row]);
        var logits = Session.Step();
        var ordered = Tensor.Temporary(logits.Shape);
        for (var row = 0; row < _rows.Count; row++) Op.Convert(logits.Slice(_rows[row].LogitsRow, 1), ordered.Slice(row, 1));
        Assert.Equal(_rows.Count, logits.Shape[0]);
        Assert.Equal(_model.Vocabulary, logits.Shape[1]);
        return ordered;
    }

    /// <summary>Row i becomes what row <paramref name="rows"/>[i] was.</summary>
    public void Select(params int[] rows)
    {
        var selected = rows.Select(row => _rows[row].Fork()).ToList();
        foreach (var row in _rows) row.Remove();
        _rows = selected;
    }
}
