# Makes ScriptData.cs's tables: perl make_scripts.pl > ScriptData.cs      (Unicode 14, as Perl 5.36 has it)
use strict; use warnings; use Text::Wrap; use Unicode::UCD qw(prop_invmap prop_invlist prop_value_aliases);
$Text::Wrap::columns = 132; $Text::Wrap::huge = "overflow"; $Text::Wrap::unexpand = 0;

sub range { my ($start, $end) = @_; $start == $end ? sprintf("%X", $start) : sprintf("%X-%X", $start, $end) }

sub scripts {
    my ($starts, $values) = prop_invmap("Script");
    my %ranges;
    for my $i (0 .. $#$starts) {
        next if $values->[$i] eq "Unknown";
        my ($short, $long) = prop_value_aliases("Script", $values->[$i]);
        my $end = $i < $#$starts ? $starts->[$i + 1] - 1 : 0x10FFFF;
        push @{$ranges{"$long,$short"}}, range($starts->[$i], $end);
    }
    join("; ", map { "$_: @{$ranges{$_}}" } sort keys %ranges);
}

# What has a property beyond the general categories.
sub beyond {
    my ($property, $categories) = @_;
    my @in = grep { chr($_) =~ /\p{$property}/ && chr($_) !~ /$categories/ } (0 .. 0xD7FF, 0xE000 .. 0x1FFFF);
    my @ranges;
    for (@in) { if (@ranges && $ranges[-1][1] == $_ - 1) { $ranges[-1][1] = $_ } else { push @ranges, [$_, $_] } }
    join(" ", map { range(@$_) } @ranges);
}

sub constant {
    my ($name, $comment, $text) = @_;
    "    /// <summary>$comment</summary>\n    public const string $name =\n        \"\"\"\n" . wrap("        ", "        ", $text) . "\n        \"\"\";\n";
}

print <<"HEAD", join("\n",
namespace Tessera.Text.Tokenizers;

/// <summary>
/// The Unicode 14.0.0 data that regular expressions name and .NET has none of: scripts, and what is alphabetic, upper or lower case beyond
/// the general categories. Ranges are hexadecimal. From Scripts.txt and DerivedCoreProperties.txt, © Unicode, Inc.,
/// <see href="https://www.unicode.org/license.txt"/>; <c>tests/Fixtures/make_scripts.pl</c> writes this file.
/// </summary>
internal static class ScriptData
{
HEAD
    constant("Scripts", "Each script, by its long and its short name.", scripts()),
    constant("OtherAlphabetic", "What is alphabetic and neither a letter nor a letter-like number.", beyond("Alphabetic", qr/[\p{L}\p{Nl}]/)),
    constant("OtherUppercase", "What is upper case and no upper-case letter.", beyond("Uppercase", qr/\p{Lu}/)),
    constant("OtherLowercase", "What is lower case and no lower-case letter.", beyond("Lowercase", qr/\p{Ll}/))), "}\n";
