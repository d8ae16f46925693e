using System.Globalization;
using System.Net;

namespace Tessera.Evaluation.Reports;

/// <summary>How texts and numbers are written into a page.</summary>
internal static class Markup
{
    /// <summary>
    /// A text as it stands in HTML, in an element or in a quoted attribute. Control characters, which HTML does not allow, are
    /// shown as the pictures that Unicode has for them.
    /// </summary>
    public static string Encode(string text) => WebUtility.HtmlEncode(string.Create(text.Length, text, static (result, source) =>
    {
        for (var i = 0; i < result.Length; i++)
        {
            result[i] = source[i] switch
            {
                '\n' or '\t' => source[i],
                < ' ' => (char)('\u2400' + source[i]),
                >= '\u007F' and <= '\u009F' => '\u2421',
                var other => other,
            };
        }
    }));

    /// <summary>A share as a length in CSS or SVG: <c>37.5%</c>.</summary>
    public static string Percent(double share) => (100 * share).ToString("0.###", CultureInfo.InvariantCulture) + "%";

    /// <summary>A value as a reader sees it, in five digits, or a dash where it is not finite.</summary>
    public static string Number(double value) => value switch
    {
        _ when !double.IsFinite(value) => "–",
        _ when Math.Abs(value) is >= 1e15 or (> 0 and < 1e-2) => value.ToString("0.####e0", CultureInfo.InvariantCulture),
        _ => value.ToString(Math.Abs(value) >= 1e4 ? "N0" : "0.####", CultureInfo.InvariantCulture),
    };
}
