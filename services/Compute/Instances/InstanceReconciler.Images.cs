using Nephos.Compute.Seams;
using Nephos.Kernel.Errors;

namespace Nephos.Compute.Instances;

/// <summary>Follows an image that is saved: it is begun where whoever asked for it did not come to it, watched, and ended.</summary>
internal sealed partial class InstanceReconciler
{
    /// <summary>Longer than the call that asked for the image may still be at it.</summary>
    private static readonly TimeSpan BeginPatience = TimeSpan.FromMinutes(1);

    private async Task SaveImageAsync(PassState pass, CancellationToken cancellationToken)
    {
        if (pass.Instance.ImageSave is not { } save)
        {
            return;
        }
        if (!save.Begun)
        {
            if (pass.Now < save.AskedAt + BeginPatience)
            {
                pass.LookAgainAt(save.AskedAt + BeginPatience);
                return;
            }
            try
            {
                await saver.BeginAsync(pass.Instance.Id, save, cancellationToken);
            }
            catch (FaultException fault) when (PassState.IsPermanent(fault))
            {
                await saver.EndAsync(pass.Instance.Id, save, fault.Message, cancellationToken);
                return;
            }
        }
        var volume = await volumes.FindVolumeAsync(save.VolumeId, cancellationToken);
        var status = await images.FindStatusAsync(save.ImageId, cancellationToken);
        if (volume is { State: VolumeState.Working })
        {
            if (status == "saving")
            {
                pass.SetUploadingImage(save.ImageId);
            }
            pass.Wait();
            return;
        }
        var isSaved = status is "active" or "deactivated";
        if (isSaved && save.Rotation is { } rotation)
        {
            await saver.RotateAsync(pass.Instance.ProjectId, pass.Instance.Id, rotation, cancellationToken);
        }
        await saver.EndAsync(pass.Instance.Id, save, isSaved ? null : $"Image {save.ImageId} got no content.", cancellationToken);
    }
}
