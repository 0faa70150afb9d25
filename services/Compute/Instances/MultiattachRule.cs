using Nephos.Compute.Rest;
using Nephos.Compute.Seams;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Instances;

/// <summary>Volumes for several servers are attached by those who know of them: from microversion 2.60 on.</summary>
internal static class MultiattachRule
{
    private const int FirstMinor = 60;

    /// <exception cref="Kernel.Errors.FaultException">One of the volumes is for several servers, and the caller asked for an older version.</exception>
    public static async Task CheckAsync(RestCall call, IEnumerable<string> volumeIds)
    {
        if (call.From(FirstMinor)) return;
        foreach (var id in volumeIds)
        {
            // Of foreign volumes nothing is said here.
            if (await call.Service<IVolumeApi>().FindVolumeAsync(id, call.Cancelled) is { Multiattach: true } volume && call.Operation.CanSee(volume.ProjectId))
            {
                throw ComputeFaults.Refers("volumeId", "Multiattach volumes are only supported starting with compute API version 2.60.");
            }
        }
    }
}
