Require Import Reals Lra Lia Psatz Bool PeanoNat.
Require FunctionalExtensionality.
Open Scope R_scope.
Inductive theorems : Prop := nothing | also (P : Prop) (proof : P) (others : theorems).
Fixpoint sum (n : nat) (f : nat -> R) : R := match n with O => 0 | S k => sum k f + f k end.
Lemma sum_ext n f g : (forall i, (i < n)%nat -> f i = g i) -> sum n f = sum n g.
Proof. induction n; simpl; intros H; [reflexivity | rewrite IHn, H; auto with arith]. Qed.
Lemma sum_zero n : sum n (fun _ => 0) = 0.
Proof. induction n; simpl; [reflexivity | rewrite IHn; ring]. Qed.
Lemma sum_plus n f g : sum n (fun i => f i + g i) = sum n f + sum n g.
Proof. induction n; simpl; [ring | rewrite IHn; ring]. Qed.
Lemma sum_scal n c f : sum n (fun i => c * f i) = c * sum n f.
Proof. induction n; simpl; [ring | rewrite IHn; ring]. Qed.
Lemma sum_swap n m f : sum n (fun i => sum m (fun j => f i j)) = sum m (fun j => sum n (fun i => f i j)).
Proof. induction n; simpl; [rewrite sum_zero; reflexivity | rewrite IHn, <- sum_plus; reflexivity]. Qed.
(* t is a sum over n, and a rest: how sums on both sides of an equation are brought together *)
Definition splits (n : nat) (t : R) (F : nat -> R) (r : R) := t = sum n F + r.
Lemma splits_sum n f : splits n (sum n f) f 0. Proof. unfold splits; ring. Qed.
Lemma splits_rest n t : splits n t (fun _ => 0) t. Proof. unfold splits; rewrite sum_zero; ring. Qed.
Lemma splits_plus n a b F G r q : splits n a F r -> splits n b G q -> splits n (a + b) (fun j => F j + G j) (r + q).
Proof. unfold splits; intros -> ->; rewrite sum_plus; ring. Qed.
Lemma splits_left n a c F r : splits n a F r -> splits n (c * a) (fun j => c * F j) (c * r).
Proof. unfold splits; intros ->; rewrite sum_scal; ring. Qed.
Lemma splits_right n a c F r : splits n a F r -> splits n (a * c) (fun j => F j * c) (r * c).
Proof. unfold splits; intros ->; rewrite (sum_ext n (fun j => F j * c) (fun j => c * F j)), sum_scal by (intros; ring); ring. Qed.
Lemma splits_opp n a F r : splits n a F r -> splits n (- a) (fun j => -1 * F j) (- r).
Proof. unfold splits; intros ->; rewrite sum_scal; ring. Qed.
Lemma splits_minus n a b F G r q : splits n a F r -> splits n b G q -> splits n (a - b) (fun j => F j + -1 * G j) (r - q).
Proof. unfold splits; intros -> ->; rewrite sum_plus, sum_scal; ring. Qed.
Lemma splits_swap n m f F r : (forall i, splits n (f i) (F i) (r i)) ->
  splits n (sum m f) (fun j => sum m (fun i => F i j)) (sum m r).
Proof. unfold splits; intros H. rewrite (sum_ext m f (fun i => sum n (F i) + r i)) by (intros; apply H).
  rewrite sum_plus, sum_swap. reflexivity. Qed.
Lemma by_splits n t F r : splits n t F r -> (forall j, F j = 0) -> r = 0 -> t = 0.
Proof. unfold splits; intros -> HF ->. rewrite (sum_ext n F (fun _ => 0)) by auto. rewrite sum_zero; ring. Qed.
Ltac split_at n := lazymatch goal with |- splits _ ?t _ _ => lazymatch t with
  | context [sum n _] => lazymatch t with
    | sum n _ => apply splits_sum
    | sum _ _ => eapply splits_swap; intro; cbv beta; split_at n
    | ?a + ?b => eapply splits_plus; split_at n
    | ?a - ?b => eapply splits_minus; split_at n
    | - ?a => eapply splits_opp; split_at n
    | ?a * ?b => lazymatch a with
      | context [sum n _] => (eapply splits_right; split_at n)
        + lazymatch b with context [sum n _] => eapply splits_left; split_at n end (* where either may come first *)
      | _ => eapply splits_left; split_at n end
    | ?a / ?b => unfold Rdiv; split_at n
    end
  | _ => apply splits_rest end end.
Ltac zero leaf := cbv beta; lazymatch goal with
  | |- context [sum ?n _] => eapply (by_splits n); [split_at n | intro; zero leaf | zero leaf]
  | |- _ => leaf end.
Ltac inverses := unfold Rdiv; repeat match goal with |- context [/ ?x] =>
  lazymatch x with IZR _ => fail | _ => let q := fresh in set (q := / x); clearbody q end end.
Definition kron (i j : nat) : R := if Nat.eqb i j then 1 else 0.
Lemma kron_same a b c d : (a = b <-> c = d) -> kron a b = kron c d.
Proof. intros H; unfold kron; destruct (Nat.eqb_spec a b), (Nat.eqb_spec c d); tauto. Qed.
Ltac krons := repeat match goal with |- context [kron ?a ?b] => match goal with |- context [kron ?c ?d] =>
  lazymatch constr:((a, b)) with (c, d) => fail | _ => replace (kron c d) with (kron a b) by (apply kron_same; lia) end end end.
Ltac leaf := first [ring | solve [inverses; field] | solve [field] | solve [krons; ring]].
Ltac sums := apply Rminus_diag_uniq; zero leaf.
(* t is a, and a last summand: two sums are compared summand by summand where these are in the same order on both sides *)
Definition parts (t a b : R) := t = a + b.
Lemma parts_sum n f g h : (forall i, parts (f i) (g i) (h i)) -> parts (sum n f) (sum n g) (sum n h).
Proof. unfold parts; intros H; rewrite <- sum_plus; apply sum_ext; auto. Qed.
Lemma parts_left c t a b : parts t a b -> parts (c * t) (c * a) (c * b). Proof. unfold parts; intros ->; ring. Qed.
Lemma parts_right c t a b : parts t a b -> parts (t * c) (a * c) (b * c). Proof. unfold parts; intros ->; ring. Qed.
Lemma parts_plus p t a b : parts t a b -> parts (p + t) (p + a) b. Proof. unfold parts; intros ->; ring. Qed.
Lemma by_parts t a b x y : parts t a b -> a = x -> b = y -> t = x + y. Proof. unfold parts; intros -> -> ->; reflexivity. Qed.
Lemma sum_scal_right n c f : sum n (fun i => f i * c) = sum n f * c.
Proof. rewrite Rmult_comm, <- sum_scal; apply sum_ext; intros; ring. Qed.
Lemma sum_nothing n f : (forall i, f i = 0) -> sum n f = 0.
Proof. intros H; rewrite (sum_ext n f (fun _ => 0)) by auto; apply sum_zero. Qed.
Ltac last_part := cbv beta; lazymatch goal with
  | |- parts (_ + _) _ _ => reflexivity
  | |- parts (sum _ _) _ _ => eapply parts_sum; intro; last_part
  | |- parts (_ * (_ + _)) _ _ => eapply parts_left; reflexivity
  | |- parts ((_ + _) * _) _ _ => eapply parts_right; reflexivity end.
Ltac part := cbv beta; lazymatch goal with
  | |- parts (_ + _) _ _ => first [eapply parts_plus; part | reflexivity]
  | |- parts (sum _ _) _ _ => eapply parts_sum; intro; part
  | |- parts (_ * _) _ _ => first [eapply parts_left; part | eapply parts_right; part] end.
Ltac alike := cbv beta; lazymatch goal with
  | |- sum ?n _ = sum ?n _ => apply sum_ext; intros; alike
  | |- ?c * sum ?n ?f = sum ?n _ => rewrite <- (sum_scal n c f); alike
  | |- sum ?n ?f * ?c = sum ?n _ => rewrite <- (sum_scal_right n c f); alike
  | |- _ => first [reflexivity | apply Rmult_assoc | apply Rmult_comm | apply Rmult_eq_compat_l, Rmult_comm | ring] end.
Ltac alone := let z := fresh in pose proof I as z; clear - z; clear z.
Ltac summands apart opened := lazymatch goal with
  | |- _ = _ + _ => eapply by_parts; [apart | summands apart opened | summands apart opened]
  | |- _ => opened; first [alike | sums] end.
Ltac shares opened := alone; summands last_part opened.
Ltac termwise := alone; summands part idtac.
(* the change of a sum is that of each summand, and that of a product the changes of its factors *)
Lemma change_plus a b c d x y : a - b = x -> c - d = y -> (a + c) - (b + d) = x + y. Proof. intros <- <-; ring. Qed.
Lemma change_both a b c d x y z : a - b = x -> c - d = y + z -> (a + c) - (b + d) = x + y + z.
Proof. intros <- E; rewrite Rplus_assoc, <- E; ring. Qed.
Lemma change_sum n f g h : (forall i, f i - g i = h i) -> sum n f - sum n g = sum n h.
Proof. intros H; rewrite <- (sum_ext n (fun i => f i - g i) h) by auto; induction n; simpl; [|rewrite <- IHn]; ring. Qed.
Lemma change_sums n f g h k : (forall i, f i - g i = h i + k i) -> sum n f - sum n g = sum n h + sum n k.
Proof. intros H; rewrite <- sum_plus; apply change_sum, H. Qed.
Ltac change_of := cbv beta; lazymatch goal with
  | |- sum ?n _ - sum ?n _ = sum ?n _ => apply change_sum; intro; change_of
  | |- sum ?n _ - sum ?n _ = sum ?n _ + sum ?n _ => apply change_sums; intro; change_of
  | |- _ => ring end.
Ltac changes := first [apply change_plus; [| solve [change_of]]; changes
  | apply change_both; [| solve [change_of]]; changes | solve [change_of]].
Lemma nothing_more a b c : a = b -> c = 0 -> a + c = b. Proof. intros -> ->; ring. Qed.
Ltac swapped place := lazymatch place with
  | O => apply sum_swap
  | S ?below => apply sum_ext; intros; swapped below end.
Ltac turned place := etransitivity; [| swapped place]; cbv beta.
Fixpoint greatest (n : nat) (f : nat -> R) : R :=
  match n with O => 0 | S O => f O | S k => Rmax (greatest k f) (f k) end.
Lemma sum_positive n f : (0 < n)%nat -> (forall i, 0 < f i) -> 0 < sum n f.
Proof. intros H P; destruct n; [lia | clear H; induction n; simpl in *; pose proof (P 0%nat); [lra | pose proof (P (S n)); lra]]. Qed.
Lemma log_sum n f a c : (0 < n)%nat -> a - c + ln (sum n (fun k => exp (f k - a))) = ln (sum n (fun k => exp (f k))) - c.
Proof. intros H. replace (sum n (fun k => exp (f k))) with (exp a * sum n (fun k => exp (f k - a))).
  - rewrite ln_mult, ln_exp by (try apply exp_pos; apply sum_positive; auto; intros; apply exp_pos); ring.
  - rewrite <- sum_scal; apply sum_ext; intros; rewrite <- exp_plus; f_equal; ring. Qed.
Fixpoint least (n : nat) (f : nat -> R) : R :=
  match n with O => 0 | S O => f O | S k => Rmin (least k f) (f k) end.
Lemma greatest_least n f i : (i < n)%nat -> least n f <= f i <= greatest n f.
Proof. induction n; intros H; [lia|]. destruct n as [|n]; [assert (i = 0)%nat as -> by lia; simpl; lra|].
  change (Rmin (least (S n) f) (f (S n)) <= f i <= Rmax (greatest (S n) f) (f (S n))).
  pose proof (Rmin_l (least (S n) f) (f (S n))); pose proof (Rmin_r (least (S n) f) (f (S n))).
  pose proof (Rmax_l (greatest (S n) f) (f (S n))); pose proof (Rmax_r (greatest (S n) f) (f (S n))).
  destruct (Nat.eq_dec i (S n)) as [->|E]; [lra | specialize (IHn ltac:(lia)); lra]. Qed.
Lemma sum_squares n f : 0 <= sum n (fun i => f i ^ 2).
Proof. induction n; simpl; [lra | pose proof (pow2_ge_0 (f n)); simpl in *; lra]. Qed.
Lemma square_zero n f i : (i < n)%nat -> sum n (fun k => f k ^ 2) = 0 -> f i = 0.
Proof. induction n; intros H E; [lia|]. change (sum n (fun k => f k ^ 2) + f n ^ 2 = 0) in E.
  pose proof (sum_squares n f); pose proof (pow2_ge_0 (f n)). destruct (Nat.eq_dec i n) as [->|D]; [|apply IHn; [lia | lra]].
  assert (f n ^ 2 = 0) as Z by lra. simpl in Z; rewrite Rmult_1_r in Z; apply Rmult_integral in Z; tauto. Qed.
Lemma sum_kron n i f : (i < n)%nat -> sum n (fun k => kron k i * f k) = f i.
Proof. induction n; intros H; [lia | simpl; unfold kron at 2]. destruct (Nat.eqb_spec n i) as [->|E].
  - rewrite (sum_ext i _ (fun _ => 0)), sum_zero; [ring | intros k Hk; unfold kron; destruct (Nat.eqb_spec k i); [lia | ring]].
  - rewrite IHn by lia; ring. Qed.
Lemma inverse_back n m f (B C : nat -> nat -> R) j : (forall i k, (i < n)%nat -> (k < n)%nat -> sum m (fun l => B i l * C l k) = kron i k) ->
  (j < n)%nat -> sum m (fun l => sum n (fun i => f i * B i l) * C l j) = f j.
Proof. intros H L. rewrite <- (sum_kron n j f L), (sum_ext m _ (fun l => sum n (fun i => f i * (B i l * C l j))))
    by (intros; rewrite <- sum_scal_right; apply sum_ext; intros; ring).
  rewrite sum_swap. apply sum_ext; intros i I. rewrite sum_scal, H by assumption. ring. Qed.
Ltac put_in law := match goal with |- context [sum ?n ?f] =>
  erewrite (sum_ext n f) by (intros; cbv beta; rewrite law by assumption; reflexivity) end; cbv beta.
Lemma sum_exchange n a b c : sum n (fun m => a m * sum n (fun l => b m l * c l)) = sum n (fun l => sum n (fun m => a m * b m l) * c l).
Proof. rewrite (sum_ext n _ (fun m => sum n (fun l => a m * (b m l * c l)))) by (intros; rewrite sum_scal; reflexivity).
  rewrite sum_swap. apply sum_ext; intros l _. rewrite Rmult_comm, <- sum_scal. apply sum_ext; intros; ring. Qed.
Lemma derivative_eq f x l l' : derivable_pt_lim f x l' -> l' = l -> derivable_pt_lim f x l.
Proof. intros H <-; exact H. Qed.
Lemma derivative_ext f g x l : derivable_pt_lim g x l -> (forall t, f t = g t) -> derivable_pt_lim f x l.
Proof. intros H E eps He; destruct (H eps He) as [d K]; exists d; intros h H0 H1; rewrite !E; auto. Qed.
Lemma derivative_const c x : derivable_pt_lim (fun _ => c) x 0. Proof. apply derivable_pt_lim_const. Qed.
Lemma derivative_id x : derivable_pt_lim (fun t => t) x 1. Proof. apply derivable_pt_lim_id. Qed.
Lemma derivative_plus f g x a b : derivable_pt_lim f x a -> derivable_pt_lim g x b -> derivable_pt_lim (fun t => f t + g t) x (a + b).
Proof. apply derivable_pt_lim_plus. Qed.
Lemma derivative_minus f g x a b : derivable_pt_lim f x a -> derivable_pt_lim g x b -> derivable_pt_lim (fun t => f t - g t) x (a - b).
Proof. apply derivable_pt_lim_minus. Qed.
Lemma derivative_opp f x a : derivable_pt_lim f x a -> derivable_pt_lim (fun t => - f t) x (- a).
Proof. apply derivable_pt_lim_opp. Qed.
Lemma derivative_mult f g x a b : derivable_pt_lim f x a -> derivable_pt_lim g x b -> derivable_pt_lim (fun t => f t * g t) x (a * g x + f x * b).
Proof. apply derivable_pt_lim_mult. Qed.
Lemma derivative_left c f x a : derivable_pt_lim f x a -> derivable_pt_lim (fun t => c * f t) x (c * a).
Proof. apply derivable_pt_lim_scal. Qed.
Lemma derivative_right c f x a : derivable_pt_lim f x a -> derivable_pt_lim (fun t => f t * c) x (c * a).
Proof. intros H; apply (derivative_ext _ (fun t => c * f t)); [apply derivative_left, H | intros; ring]. Qed.
Lemma derivative_comp f g x l m : derivable_pt_lim f (g x) l -> derivable_pt_lim g x m -> derivable_pt_lim (fun t => f (g t)) x (l * m).
Proof. intros; apply derivable_pt_lim_comp; assumption. Qed.
Lemma derivative_pow n f x a : derivable_pt_lim f x a -> derivable_pt_lim (fun t => f t ^ n) x (INR n * f x ^ pred n * a).
Proof. intros H; apply (derivative_comp (fun y => y ^ n)); [apply derivable_pt_lim_pow | exact H]. Qed.
Lemma derivative_inv f x a : f x <> 0 -> derivable_pt_lim f x a -> derivable_pt_lim (fun t => / f t) x (- a / f x ^ 2).
Proof. intros N H; apply (derivative_ext _ (fun t => 1 / f t)); [| intros; unfold Rdiv; ring].
  eapply derivative_eq; [apply (derivable_pt_lim_div (fun _ => 1) f); [apply derivative_const | exact H | exact N] | unfold Rsqr; field; exact N]. Qed.
Lemma derivative_sum n f x l : (forall i, (i < n)%nat -> derivable_pt_lim (fun t => f t i) x (l i)) -> derivable_pt_lim (fun t => sum n (f t)) x (sum n l).
Proof. induction n; intros H; simpl; [apply derivative_const | apply derivative_plus; auto]. Qed.
Lemma derivative_near f g x l e : 0 < e -> (forall u, x - e < u < x + e -> f u = g u) -> derivable_pt_lim g x l -> derivable_pt_lim f x l.
Proof. intros He E H eps H0. destruct (H eps H0) as [d K]. assert (0 < Rmin d e) as M by (apply Rmin_pos; [apply cond_pos | exact He]).
  exists (mkposreal _ M); simpl; intros h Hn Hh. pose proof (Rmin_l d e); pose proof (Rmin_r d e).
  pose proof (Rabs_def2 h e ltac:(lra)). rewrite !E by lra. apply K; [exact Hn | lra]. Qed.
Lemma derivative_piece f x a b lo hi : lo < x < hi -> (forall u, lo < u < hi -> f u = a * u + b) -> derivable_pt_lim f x a.
Proof. intros H E. assert (0 < Rmin (x - lo) (hi - x)) as M by (apply Rmin_pos; lra).
  pose proof (Rmin_l (x - lo) (hi - x)); pose proof (Rmin_r (x - lo) (hi - x)).
  apply (derivative_near f (fun u => a * u + b) x a _ M); [intros; apply E; lra |].
  eapply derivative_eq; [apply derivative_plus; [apply derivative_left, derivative_id | apply derivative_const] | ring]. Qed.
Ltac derive known := cbv beta; lazymatch goal with
  | |- derivable_pt_lim (fun _ => ?c) _ _ => apply derivative_const
  | |- derivable_pt_lim (fun t => t) _ _ => apply derivative_id
  | |- derivable_pt_lim (fun t => sum ?n (fun i => @?f t i)) _ _ => eapply (derivative_sum n f); intros; derive known
  | |- derivable_pt_lim (fun t => @?f t + @?g t) _ _ => eapply (derivative_plus f g); derive known
  | |- derivable_pt_lim (fun t => @?f t - @?g t) _ _ => eapply (derivative_minus f g); derive known
  | |- derivable_pt_lim (fun t => - @?f t) _ _ => eapply (derivative_opp f); derive known
  | |- derivable_pt_lim (fun t => @?f t * @?g t) _ _ => lazymatch f with
    | fun _ => ?c => eapply (derivative_left c g); derive known
    | _ => lazymatch g with
      | fun _ => ?c => eapply (derivative_right c f); derive known
      | _ => eapply (derivative_mult f g); derive known end end
  | |- derivable_pt_lim (fun t => @?f t / @?g t) _ _ => unfold Rdiv; derive known
  | |- derivable_pt_lim (fun t => / @?f t) _ _ => eapply (derivative_inv f); [known | derive known]
  | |- derivable_pt_lim (fun t => @?f t ^ ?n) _ _ => eapply (derivative_pow n f); derive known
  | |- _ => first [known | lazymatch goal with |- derivable_pt_lim (fun t => ?phi (@?g t)) _ _ =>
      eapply (derivative_comp phi g); [known | derive known] end] end.
Ltac decisions := repeat (match goal with
  | |- context [if ?d then _ else _] => destruct d
  | H : context [if ?d then _ else _] |- _ => destruct d end; try (exfalso; first [lra | congruence])); try (exfalso; first [lra | congruence]).
Ltac piece phi b lo hi := apply (derivative_piece phi _ _ b lo hi); [lra | intros u Hu; unfold phi; decisions; lra].
Ltac positive := repeat match goal with |- context [exp ?s] =>
  lazymatch goal with H : 0 < exp s |- _ => fail | _ => pose proof (exp_pos s) end end.
Ltac smooth phi := intros; eapply derivative_eq;
  [unfold phi; derive ltac:(idtac; lazymatch goal with
     | |- derivable_pt_lim exp _ _ => apply derivable_pt_lim_exp
     | |- derivable_pt_lim ln _ _ => apply derivable_pt_lim_ln; cbv beta; positive; lra
     | |- derivable_pt_lim sqrt _ _ => apply derivable_pt_lim_sqrt; assumption
     | |- derivable_pt_lim _ _ _ => fail
     | |- _ => cbv beta; positive; apply Rgt_not_eq; lra end)
  | try unfold phi; rewrite ?exp_Ropp; positive; field; repeat split; try (apply Rgt_not_eq, sqrt_lt_R0; assumption); try lra; nra].
Ltac sums_by leaf := apply Rminus_diag_uniq; zero leaf.
Ltac one_of := first [solve [repeat split; first [lra | assumption]] | left; solve [repeat split; first [lra | assumption]] | right; one_of].
Ltac undefined := exfalso; repeat match goal with U : _ /\ _ |- _ => destruct U end;
  match goal with U : ~ _ |- _ => apply U; repeat split; first [lra | assumption] end.
Lemma sum_at_least n f : (forall i, (i < n)%nat -> 0 <= f i) -> 0 <= sum n f.
Proof. induction n; simpl; intros H; [lra | pose proof (H n ltac:(lia)); pose proof (IHn ltac:(intros; apply H; lia)); lra]. Qed.
Lemma sum_above n f k : (k < n)%nat -> (forall i, (i < n)%nat -> 0 <= f i) -> 0 < f k -> 0 < sum n f.
Proof. induction n; intros L H P; [lia | simpl; pose proof (H n ltac:(lia))].
  destruct (Nat.eq_dec k n) as [->|D]; [pose proof (sum_at_least n f ltac:(intros; apply H; lia)); lra
  | pose proof (IHn ltac:(lia) ltac:(intros; apply H; lia) P); lra]. Qed.
Lemma kron_at_least i j : 0 <= kron i j. Proof. unfold kron; destruct (Nat.eqb i j); lra. Qed.
Lemma kron_above i j : i = j -> 0 < kron i j. Proof. intros ->; unfold kron; rewrite Nat.eqb_refl; lra. Qed.
Ltac at_least := lazymatch goal with
  | |- 0 <= sum _ _ => apply sum_at_least; intros; at_least
  | |- 0 <= _ + _ => apply Rplus_le_le_0_compat; at_least
  | |- 0 <= _ * _ => apply Rmult_le_pos; at_least
  | |- 0 <= _ ^ 2 => apply pow2_ge_0
  | |- 0 <= kron _ _ => apply kron_at_least
  | |- _ => left; above end
with above := lazymatch goal with
  | |- 0 < exp _ => apply exp_pos
  | |- 0 < sqrt _ => apply sqrt_lt_R0; above
  | |- 0 < _ / _ => apply Rdiv_lt_0_compat; above
  | |- 0 < / _ => apply Rinv_0_lt_compat; above
  | |- 0 < _ * _ => apply Rmult_lt_0_compat; above
  | |- 0 < _ + _ => first [apply Rplus_lt_le_0_compat; [above | at_least] | apply Rplus_le_lt_0_compat; [at_least | above]]
  | |- 0 < kron _ _ => apply kron_above; lia
  | |- 0 < sum ?n ?f => first [
      match goal with H : (?k < n)%nat |- _ => apply (sum_above n f k); [exact H | intros; cbv beta; at_least | cbv beta; above] end
    | apply (sum_above n f 0); [lia | intros; cbv beta; at_least | cbv beta; above]]
  | |- _ => first [assumption | lra] end.
Ltac sums_inverse := unfold Rdiv; rewrite ?Rinv_mult, <- ?pow_inv; sums.
Lemma shift_quotient n m f a b k : (forall j, m j = 0 \/ m j = 1) ->
  m k * exp (m k * (f k - a)) / sum n (fun j => m j * exp (m j * (f j - a))) = m k * exp (m k * (f k - b)) / sum n (fun j => m j * exp (m j * (f j - b))).
Proof. intros M. assert (E : forall j, m j * exp (m j * (f j - a)) = exp (b - a) * (m j * exp (m j * (f j - b)))).
  - intros j. destruct (M j) as [-> | ->]; [ring | rewrite !Rmult_1_l, <- exp_plus; f_equal; ring].
  - rewrite E, (sum_ext n (fun j => m j * exp (m j * (f j - a))) _ (fun j _ => E j)), sum_scal.
    unfold Rdiv; rewrite Rinv_mult. pose proof (exp_pos (b - a)). set (q := / sum n _). field; lra. Qed.
Lemma shift_all n f a b k : exp (f k - a) / sum n (fun j => exp (f j - a)) = exp (f k - b) / sum n (fun j => exp (f j - b)).
Proof. pose proof (shift_quotient n (fun _ => 1) f a b k ltac:(auto)) as E. cbv beta in E. rewrite !Rmult_1_l in E.
  rewrite (sum_ext n _ (fun j => exp (f j - a))), (sum_ext n (fun j => 1 * exp (1 * (f j - b))) (fun j => exp (f j - b))) in E by (intros; rewrite !Rmult_1_l; reflexivity).
  exact E. Qed.
Lemma kron_once n a t : sum n (fun j => kron (a + j) t) = 0 \/ sum n (fun j => kron (a + j) t) = 1.
Proof. induction n; simpl; [auto | unfold kron at 2 4]. destruct (Nat.eqb_spec (a + n) t) as [E|E].
  - right. rewrite (sum_ext n _ (fun _ => 0)), sum_zero; [ring | intros j L; unfold kron; destruct (Nat.eqb_spec (a + j) t); [lia | reflexivity]].
  - destruct IHn as [-> | ->]; [left | right]; ring. Qed.
Lemma kron_one i j : kron i j = 0 \/ kron i j = 1. Proof. unfold kron; destruct (Nat.eqb i j); auto. Qed.
Ltac one_or_none constants := intros; cbv beta; constants; first [apply kron_once | apply kron_one].
Ltac shifted constants := lazymatch goal with
  | |- context [ln _] => unfold Rdiv; try apply Rmult_eq_compat_r; try (apply sum_ext; intros);
      match goal with H : (0 < ?n)%nat |- _ => rewrite !(log_sum n) by exact H; reflexivity end
  | |- _ => rewrite ?Rplus_0_r; first [apply shift_all | apply shift_quotient; one_or_none constants] end.
