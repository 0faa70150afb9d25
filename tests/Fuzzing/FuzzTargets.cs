using Nephos.Fuzzing.Targets;

namespace Nephos.Fuzzing;

/// <summary>Everything that can be fed.</summary>
internal static class FuzzTargets
{
    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new RangeTarget(), new PolicyTarget(), new XmlTarget(), new ChunkedTarget(), new SignatureTarget(), new S3Target(), new S3FormTarget(),
        new SwiftTarget(), new SwiftFormTarget(), new ManifestTarget(), new ArchiveTarget(), new NeedleTarget(), new DiskTarget(), new NbdHandshakeTarget(), new NbdRequestTarget(),
    ];
}
